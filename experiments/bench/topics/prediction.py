"""Predicting a selected ensemble, against `predict` member by member as published."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from experiments.bench.conditions import COMPETITION_TEST_ROWS
from experiments.bench.rows import Row, side_by_side
from fkd.core.keypoints import MAX_GREY, to_pixels
from fkd.data.source import load_data
from fkd.ensemble.predict import predict_ensemble
from fkd.experiment.experiment import Experiment
from fkd.experiment.files import load_experiment
from fkd.experiment.store import Run
from fkd.training.networks.build import build_model

SELECTED = {"four": range(12), "eleven": range(16)}
LARGEST_DIFFERENCE_PX = 0.01


def measure(data_folder: Path) -> list[Row]:
    """Seconds from members' files to their average on as many images as the competition tests.

    Raises RuntimeError where the two ways differ by more than LARGEST_DIFFERENCE_PX.
    """
    images = load_data(str(data_folder), lambda line: None).training.images[:COMPETITION_TEST_ROWS]
    experiment = load_experiment("ensemble")
    answers_px = {}
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        _write_members(run, experiment)

        def ours() -> None:
            answers_px["ours"] = predict_ensemble(run, experiment, SELECTED, images)

        def published() -> None:
            answers_px["published"] = _member_by_member(run, experiment, SELECTED, images)

        ours_s, published_s = side_by_side(ours, published)
    apart_px = float(np.abs(answers_px["ours"] - answers_px["published"]).max())
    if not apart_px <= LARGEST_DIFFERENCE_PX:
        raise RuntimeError(f"expected {LARGEST_DIFFERENCE_PX} px apart at most, received {apart_px:.3g} px")
    members = " + ".join(str(len(indices)) for indices in SELECTED.values())
    what = f"predicting a selected ensemble of {members} on {len(images):,} images"
    detail = f"{ours_s:.1f} s against {published_s:.1f} s, {apart_px:.1g} px apart at most"
    return [Row(what, "`predict` member by member, as published", published_s / ours_s, 2.0, detail)]


def _write_members(run: Run, experiment: Experiment) -> None:
    """Members with freshly drawn weights: what a weight is takes no time more or less."""
    for specialist, members in SELECTED.items():
        points = len(experiment.point_indices(specialist))
        for index in members:
            member = run.member(specialist, index)
            member.path.mkdir(parents=True)
            model = build_model(experiment.network, points, experiment.member_seed(specialist, index))
            model.save_weights(member.best_weights)


def _member_by_member(
    run: Run, experiment: Experiment, chosen: Mapping[str, Sequence[int]], images: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    """The same average, each member built, loaded and asked by Keras' own `predict`, its batches of 32."""
    unit_images = (images / np.float32(MAX_GREY))[..., np.newaxis]
    predictions = np.empty((len(images), len(experiment.schema_points.names), 2))
    for specialist, members in chosen.items():
        points = experiment.point_indices(specialist)
        by_member = []
        for index in members:
            model = build_model(experiment.network, len(points), experiment.member_seed(specialist, index))
            model.load_weights(run.member(specialist, index).best_weights)
            by_member.append(model.predict(unit_images, verbose=0).reshape(len(images), -1, 2))
        predictions[:, points] = to_pixels(np.mean(by_member, axis=0))
    return predictions
