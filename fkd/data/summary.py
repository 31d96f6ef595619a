"""A data set in words."""

from collections import Counter

import numpy as np

from fkd.core.keypoints import is_labelled, is_outside_frame, schema_of
from fkd.data.faces import FaceData


def summarise(data: FaceData) -> list[str]:
    """Lines for the terminal: counts of faces, labels and values asked for, groups, and the checksum."""
    keypoints = data.training.keypoints
    outside = int(is_outside_frame(keypoints).sum())
    groups = "unknown" if data.groups is None else f"{len(np.unique(data.groups)):,}"
    return [
        f"{data.name}: {len(keypoints):,} training faces, {len(data.test.ids):,} test images",
        *_labels(data),
        f"  points labelled outside the frame (they are kept): {outside:,}",
        *_values_to_submit(data),
        f"  groups of one person or photo: {groups}",
        f"  SHA-256 of the files: {data.checksum}",
    ]


def _labels(data: FaceData) -> list[str]:
    """How many faces have all points of each subset, and each point; nothing more where all have all."""
    labelled = is_labelled(data.training.keypoints)
    schema = schema_of(data.point_names)
    lines = [
        f"  training faces with all {len(names)} points of '{subset}': "
        f"{labelled[:, schema.indices(subset)].all(axis=1).sum():,}"
        for subset, names in schema.subsets.items()
    ]
    if labelled.all():
        return lines
    width = max(map(len, schema.names))
    counts = zip(schema.names, labelled.sum(axis=0), strict=True)
    return [*lines, "  labels by point:", *(f"    {name:<{width}}{count:>8,}" for name, count in counts)]


def _values_to_submit(data: FaceData) -> list[str]:
    if data.lookup.empty:
        return []
    asked = Counter(data.lookup["ImageId"].value_counts().tolist())
    by_count = ", ".join(f"{images:,} x {values}" for values, images in sorted(asked.items()))
    return [
        f"  {len(data.lookup):,} values to submit (images x values): {by_count}",
        f"  hidden labels: {'none' if data.solution is None else 'available'}",
    ]
