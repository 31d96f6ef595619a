"""A data set in words."""

from collections import Counter

import numpy as np

from fkd.data.faces import FaceData
from fkd.keypoints import CENTRE_PX, HALF_WIDTH_PX, KAGGLE15


def summarise(data: FaceData) -> list[str]:
    """Lines for the terminal: counts of faces, labels and values asked for, groups, and the checksum."""
    keypoints = data.training.keypoints
    labels = np.isfinite(keypoints).all(axis=2).sum(axis=0)
    outside = int((np.abs(keypoints - CENTRE_PX) > HALF_WIDTH_PX).sum())
    lines = [f"{data.name}: {len(keypoints):,} training faces, {len(data.test.ids):,} test images"]
    for subset, names in KAGGLE15.subsets.items():
        complete = np.isfinite(keypoints[:, KAGGLE15.indices(subset)]).all(axis=(1, 2)).sum()
        lines.append(f"  {complete:,} training faces have all {len(names)} points of '{subset}'")
    lines.append("  labels by point:")
    lines += [f"    {name:<26}{count:>6,}" for name, count in zip(KAGGLE15.names, labels, strict=True)]
    lines.append(f"  {outside:,} coordinates lie outside the frame (they are kept)")
    asked = Counter(data.lookup["ImageId"].value_counts().tolist())
    by_count = ", ".join(f"{images:,} images ask for {values}" for values, images in sorted(asked.items()))
    lines.append(f"  {len(data.lookup):,} values to submit: {by_count}")
    groups = "unknown" if data.groups is None else f"{len(np.unique(data.groups)):,}"
    lines.append(f"  groups of one person or photo: {groups}")
    lines.append(f"  hidden labels: {'none' if data.solution is None else 'at hand'}")
    lines.append(f"  SHA-256 of the files: {data.checksum}")
    return lines
