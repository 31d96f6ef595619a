"""An experiment that trains in a second."""

TINY_EXPERIMENT = """
seed: 3
validation_fraction: 0.25
network:
  convolutions:
    - {filters: 2, kernel: 5, pool: 4}
    - {filters: 3, kernel: 3, pool: 4}
  dense: [4]
training: {max_epochs: 3, patience_epochs: 50}
augmentation:
  flip: {probability: 0.5}
  contrast: {probability: 0.5}
  rotation: {probability: 0.5}
  elastic: {probability: 0.5}
  perspective: {probability: 0.5}
specialists:
  four: {keypoints: four, rows: labelled, batch_size: 8, members: 2}
  eleven: {keypoints: eleven, rows: complete, batch_size: 4, members: 1}
selection: {policy: best}
"""

# In place of its specialists: one whose members go on with the faces of either source.
BY_SOURCE = (
    "specialists={all: {keypoints: all, rows: any, batch_size: 8, members: 2},"
    " many: {continues: {specialist: all, labels: [5, 15], epochs: 2, learning_rate: 1.0e-4}},"
    " few: {continues: {specialist: all, labels: [1, 4], epochs: 1, learning_rate: 1.0e-3, flip: false}}}"
)
