"""What fkd is asked for, and the folder that keeps the results.

experiment    `Experiment`: one validated object for one YAML file
files         experiment files found, merged over their base, overridden, validated
settings      what all sections of a file share
yaml_reading  YAML of a bounded size, every key given once
specialists   section: who learns which points from which rows
network       section: the architecture
training      section: loss, optimizer, schedule, limits
augmentation  section: random changes of a training image
callbacks      Keras callbacks by name: which are accepted
pixel_changes  those by albumentations: which are accepted, and how they are made
prediction    sections: which members predict, and how
resources     section: what the training of a member takes of a machine
reference     docs/settings.md, written from the sections
records       the JSON records of a run: one reader, one writer, checksums
store         every path of a run, and the guard of its identity
"""
