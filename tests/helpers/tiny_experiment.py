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
