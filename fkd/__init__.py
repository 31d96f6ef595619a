"""fkd: ensembles of small networks that find the keypoints of a face."""

__version__ = "0.1.0"
