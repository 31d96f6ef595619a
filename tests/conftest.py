"""What several tests need: a small synthetic data set and an experiment that trains in a second."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

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


@pytest.fixture(scope="session")
def faces_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `faces` with 30 training faces and 6 test images in the competition's format."""
    from fkd.data.synthetic import write_synthetic

    folder = tmp_path_factory.mktemp("data") / "faces"
    write_synthetic(folder, seed=1, training_faces=30, test_faces=6)
    return folder


@pytest.fixture
def tiny_experiment(tmp_path: Path) -> Path:
    """The file of an experiment with 2 + 1 members of three epochs."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY_EXPERIMENT)
    return path
