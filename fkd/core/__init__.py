"""What every stage needs; it imports nothing else of fkd.

keypoints  the points of a face: names, left/right twins, subsets, units
errors     `UserError`, whose text is for the person at the terminal
interrupt  signals raise a flag that a training looks at
files      files written whole or not at all; checksums
metrics    RMSE in pixels
"""
