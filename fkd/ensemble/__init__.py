"""Members chosen, averaged, corrected and submitted.

selection       which members are chosen, and what their average is worth; pure
folds           rows in parts of whole groups
stacking        weights of members by point; pure
selection_file  the choice as a run keeps it, selection.json
radii           how far off a point may be, by the members' spread; pure
radii_file      the radii as a run keeps them, radii.json
validation      a specialist's labels and predictions, read once; label offsets of test images
choice          a run's validations and the members that they choose
ensemble        the chosen members in memory, for a few faces at a time
keras_members   these by Keras
graph_file      these by ONNX Runtime: members.onnx
members_graph   these as one Keras model
predict         the chosen members' predictions of many images, once
label_offsets   what each source's labels are off by; the number of points tells the source
label_outliers  labels that lie far outside the radius of an out-of-sample prediction
suspect_labels  labels outside their radii on all faces, for a person to look at
distillation    labels that a trained ensemble gives a network to learn
submission      predictions to the competition's CSV; the score of such a CSV
kaggle_upload   the CSV given to Kaggle, and the scores that come back
"""
