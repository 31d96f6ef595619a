"""Members chosen, averaged, corrected and submitted.

selection       which members are chosen, and what their average is worth; pure
validation      what finished members predict for their validation rows
predict         the chosen members' predictions: many images, or a few at a time
label_offsets   what each source's labels are off by
label_outliers  labels far from out-of-sample predictions
distillation    labels that a trained ensemble gives
submission      predictions to the competition's CSV; the score of such a CSV
"""
