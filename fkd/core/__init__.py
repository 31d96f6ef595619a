"""What every stage needs; it imports nothing else of fkd.

keypoints  the points of a face: names, left/right twins, subsets, units
errors     `UserError`, whose text is for the person at the terminal
say        what reports a line to that person; names listed in it
backend    the framework that Keras will take
lean_keras Keras, loaded without what it does not need
interrupt  signals raise a flag that a training checks
files      files written whole or not at all; checksums
metrics    RMSE and distances in pixels
drawing    points drawn on pictures
"""
