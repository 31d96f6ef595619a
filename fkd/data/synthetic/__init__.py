"""The embedded set of drawn faces, for anyone without data.

data_set      the competition's four files, written
face_drawing  a head painted as a grey photograph
face_model    the 3-D head: shape, identity, pose, its 15 points
"""
