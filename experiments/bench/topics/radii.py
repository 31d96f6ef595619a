"""What the champion's radii hold: on validation faces that took no part in them, and on other photos."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.bench.conditions import RESULTS
from experiments.bench.subjects.finished_run import table_of_run
from experiments.bench.subjects.labelled_photos import imm_photos, without_offsets
from fkd import load
from fkd.core.keypoints import IMAGE_SIZE_PX, KAGGLE15
from fkd.data.faces import Faces
from fkd.deploy.photos import predict_photo
from fkd.ensemble.radii import CrossFitted, Held, cross_fit
from fkd.ensemble.validation import Validation, read_validation
from fkd.experiment.experiment import Experiment
from fkd.experiment.store import Run

BY_SOURCE, BY_POINT = RESULTS / "radii.csv", RESULTS / "radii-points.csv"


def tables(data_folder: Path) -> dict[str, pd.DataFrame]:
    """Share of labels held and mean radius, by source and by point."""
    return {
        "Labels that the champion's radii hold": table_of_run(BY_SOURCE, data_folder, _source_lines),
        "The same by point": table_of_run(BY_POINT, data_folder, _point_lines),
    }


def _source_lines(run: Run, experiment: Experiment, specialist: str, faces: Faces) -> list[dict[str, object]]:
    validation = read_validation(run, experiment, specialist, faces)
    held = {f"validation, {name}": one for name, one in validation.held_by_source().items()}
    held |= {
        name: one
        for name, radii in {
            "validation, source unknown": _of_unknown_source(validation),
            **_on_imm(run),
        }.items()
        if (one := _held(radii))
    }
    return [
        {
            "faces": name,
            "labels": f"{one.labels:,}",
            "held": f"{one.share:.1%}",
            "mean radius px": f"{one.radius_px:.2f}",
            "of constant radii px": "-" if np.isnan(one.constant_px) else f"{one.constant_px:.2f}",
        }
        for name, one in held.items()
    ]


def _point_lines(run: Run, experiment: Experiment, specialist: str, faces: Faces) -> list[dict[str, object]]:
    validation = read_validation(run, experiment, specialist, faces)
    measured = {"validation": validation.cross_fitted_radii, **_on_imm(run)}
    lines: list[dict[str, object]] = []
    for position, point in enumerate(validation.points.tolist()):
        held = {name: _held(radii, slice(position, position + 1)) for name, radii in measured.items()}
        lines.append(
            {"point": KAGGLE15.names[point]}
            | {
                f"{name}: held, mean px": f"{one.share:.1%}, {one.radius_px:.2f}" if one else "-"
                for name, one in held.items()
            }
        )
    return lines


def _held(radii: CrossFitted, points: slice = slice(None)) -> Held | None:
    return radii.held(np.full(len(radii.radii_px), True), points)


def _of_unknown_source(validation: Validation) -> CrossFitted:
    """Radii as photos of people get them: without label offsets, one curve a point."""
    return cross_fit(
        validation.augmented_px,
        validation.truth_px,
        validation.split.validation_groups,
        np.zeros(len(validation.truth_px), np.int64),
        lambda predictions_px, *_: range(len(predictions_px)),
        validation.experiment.prediction.coverage,
    )


@cache
def _on_imm(run: Run) -> dict[str, CrossFitted]:
    """Radii on IMM's photos as `fkd predict` gives them, in pixels of the 96x96 face, by what is measured."""
    ensemble, photos = load(run.path), imm_photos()
    found = [
        (labelled, face)
        for labelled in photos
        for face in predict_photo(ensemble, labelled.photo)
        if labelled.is_shown_by(face.square)
    ]
    scales = np.array([IMAGE_SIZE_PX / face.square.side_px for _, face in found])
    errors_px = np.array([face.points_px - labelled.points_px for labelled, face in found])
    errors_px *= scales[:, None, None]
    radii_px = np.array([face.radius_px for _, face in found]) * scales[:, None]
    persons = np.array([labelled.person for labelled, _ in found])
    nothing = np.full_like(radii_px, np.nan)
    return {
        f"IMM, {len(found)} faces of {len(photos)}": CrossFitted(
            radii_px, np.linalg.norm(errors_px, axis=2), nothing, nothing
        ),
        "IMM, offsets removed": CrossFitted(
            radii_px, np.linalg.norm(without_offsets(errors_px, persons), axis=2), nothing, nothing
        ),
    }
