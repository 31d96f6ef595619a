"""fkd's ensembles against the packages that people take for face points today.

All see the same 96x96 faces. How a package is best shown a face, which of its points is meant, and what is
always off to one side is chosen on faces that trained the champion; the figures are of other faces.
"""

import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
import pandas as pd

from experiments.bench.rows import seconds
from experiments.bench.subjects.command import FKD
from experiments.bench.subjects.finished_run import CHAMPION
from experiments.bench.subjects.imm_photos import found_faces, imm_photos, without_offsets
from experiments.bench.subjects.rivals import RIVALS, Pixels, Rival, candidates, rival_points
from fkd.core.errors import UserError
from fkd.core.keypoints import KAGGLE15
from fkd.data.source import load_data
from fkd.deploy.model_formats import FORMATS
from fkd.ensemble.label_offsets import label_counts
from fkd.experiment.store import DEFAULT_STORE, Run
from fkd.runs.splits import read_split

OURS = (CHAMPION, "student")
LEARNT_ON = 300  # faces of a source, among those that trained the champion
FEWER_FOUND = 0.01  # of the faces may be found less often by a way to show them than by the best
SOURCES = ("source A", "source B")
FEW_LABELS = 4  # has a face of source B; those of source A have more
AT_ONCE = 64  # faces in a batch

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Cases:
    """Faces (n, 96, 96), their points (n, 15, 2), and whose offset each has: source or person (n,)."""

    faces: Images
    truth_px: Pixels
    kinds: npt.NDArray[np.int64]


@dataclass(frozen=True)
class _System:
    """predict: from faces to points, shape (n, 15, 2), NaN where none is found, and ms a face, shape (n,).

    faces_a_second: in batches. megabytes: of the model.
    """

    name: str
    predict: Callable[[Images], tuple[Pixels, Pixels]]
    faces_a_second: Callable[[Images], float] | None = None
    megabytes: float | None = None


@dataclass(frozen=True)
class _Measured:
    """Errors in pixels by set of faces, (n, 15, 2), as they are and without offsets; milliseconds, (n,)."""

    raw_px: Mapping[str, Pixels]
    corrected_px: Mapping[str, Pixels]
    milliseconds: Pixels


def tables(data_folder: Path) -> dict[str, pd.DataFrame]:
    """Errors with and without constant offsets, on faces that all systems find; then what they cost."""
    training, others, studio = _cases(data_folder)
    with tempfile.TemporaryDirectory() as folder:
        systems = [*_ours(data_folder, Path(folder)), *(_rival(rival, training) for rival in RIVALS)]
        measured = {system.name: _measure(system, training, others, studio) for system in systems}
        costs = [_cost(system, measured[system.name], others.faces) for system in systems]
    sets = measured[systems[0].name].raw_px
    by_all = {
        name: np.logical_and.reduce([_found(one.raw_px[name]) for one in measured.values()]) for name in sets
    }
    return {
        "Against other packages, RMSE px": pd.DataFrame(
            {"system": name}
            | {of: _rmse_px(one.raw_px[of][by_all[of]]) for of in sets}
            | {f"{of}, offset removed": _rmse_px(one.corrected_px[of][by_all[of]]) for of in sets}
            for name, one in measured.items()
        ),
        "What they cost, on one core": pd.DataFrame(costs),
    }


def without_kinds_offsets(
    errors_px: Pixels, kinds: npt.NDArray[np.int64], learnt_px: Pixels, learnt_kinds: npt.NDArray[np.int64]
) -> Pixels:
    """Errors less the mean error of other faces of their kind, point by point.

    errors_px, learnt_px: shape (n, points, 2) and (m, points, 2), NaN for none. kinds: shapes (n,) and (m,).
    """
    means_px = pd.DataFrame(learnt_px.reshape(len(learnt_px), -1)).groupby(learnt_kinds).mean()
    return errors_px - means_px.loc[kinds].to_numpy().reshape(errors_px.shape)


def choose_points(
    candidates_px: Mapping[str, Sequence[Pixels]], truth_px: Pixels, kinds: npt.NDArray[np.int64]
) -> tuple[dict[str, int], float]:
    """The candidates that agree best with the labels but for a constant, by point, and their RMSE in pixels.

    candidates_px: by point, shape (n, 2) each. truth_px: shape (n, points, 2). kinds: shape (n,).
    """
    chosen, errors_px = {}, []
    for point, (name, meanings) in enumerate(candidates_px.items()):
        errors = [(meant - truth_px[:, point])[:, None] for meant in meanings]
        corrected = [without_kinds_offsets(one, kinds, one, kinds) for one in errors]
        chosen[name] = int(np.argmin([_rmse_px(one) for one in corrected]))
        errors_px.append(corrected[chosen[name]])
    return chosen, _rmse_px(np.concatenate(errors_px, axis=1))


def _cases(data_folder: Path) -> tuple[_Cases, _Cases, _Cases]:
    """Faces that trained the champion, its validation faces, and the studio's."""
    run = Run(DEFAULT_STORE / f"{CHAMPION}-{data_folder.name}")
    if not run.experiment.is_file():
        raise UserError(
            f"{run.path}: expected the champion, found no such run; train it with: "
            f"fkd train {CHAMPION} --data {data_folder}"
        )
    faces = load_data(str(data_folder), lambda line: None).training
    [specialist] = run.read_experiment().specialists
    split = read_split(run, specialist)
    kinds = (label_counts(faces.keypoints) <= FEW_LABELS).astype(np.int64)
    learnt_on = [
        some[np.linspace(0, len(some) - 1, LEARNT_ON).astype(int)]
        for kind in range(len(SOURCES))
        if len(some := split.training[kinds[split.training] == kind])
    ]
    training, others = (
        _Cases(faces.images[rows], faces.keypoints[rows].astype(np.float64), kinds[rows])
        for rows in (np.concatenate(learnt_on), split.validation)
    )
    return training, others, _Cases(*found_faces(imm_photos()))


def _ours(data_folder: Path, folder: Path) -> list[_System]:
    """The chosen members of our runs as ONNX files, as they are and in 8 bits."""
    systems = []
    for name in OURS:
        call = [FKD, "export", name, "--data", data_folder, "--to", folder / name]
        formats = [argument for format_ in ("onnx", "onnx-int8") for argument in ("--format", format_)]
        subprocess.run([*call, *formats], check=True, stdout=subprocess.DEVNULL)
        systems.append(_exported(f"fkd {name}", folder / name / FORMATS["onnx"].file))
        systems.append(_exported(f"fkd {name}, 8 bits", folder / name / FORMATS["onnx-int8"].file))
    return systems


def _exported(name: str, file: Path) -> _System:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def answer(faces: Images) -> Pixels:
        return np.asarray(session.run(None, {"images": faces})[0], np.float64)

    def one_by_one(faces: Images) -> tuple[Pixels, Pixels]:
        answers: list[Pixels] = []
        milliseconds = [1e3 * seconds(lambda face=face: answers.append(answer(face[None]))) for face in faces]
        return np.concatenate(answers), np.array(milliseconds)

    def faces_a_second(faces: Images) -> float:
        return AT_ONCE / median(seconds(lambda: answer(faces[:AT_ONCE])) for _ in range(5))

    return _System(name, one_by_one, faces_a_second, file.stat().st_size / 1e6)


def _rival(rival: Rival, training: _Cases) -> _System:
    """A package that is shown faces as is best on the training faces, with the points that are meant."""
    by_framing_px, _ = rival_points(rival, rival.framings, training.faces)
    found = [_found(points_px).mean() for points_px in by_framing_px]
    chosen = [
        (*choose_points(candidates(rival, points_px), training.truth_px, training.kinds), framing)
        for points_px, share, framing in zip(by_framing_px, found, rival.framings, strict=True)
        if share >= max(found) - FEWER_FOUND
    ]
    meanings, _, framing = min(chosen, key=lambda choice: choice[1])
    print(f"{rival.name}: {dict(framing)}, {meanings}", flush=True)

    def predict(faces: Images) -> tuple[Pixels, Pixels]:
        points_px, milliseconds = rival_points(rival, [framing], faces)
        meant = candidates(rival, points_px[0])
        return np.stack([meant[name][meanings[name]] for name in KAGGLE15.names], axis=1), milliseconds[0]

    return _System(rival.name, predict)


def _measure(system: _System, training: _Cases, others: _Cases, studio: _Cases) -> _Measured:
    learnt_px = system.predict(training.faces)[0] - training.truth_px
    others_px, milliseconds = system.predict(others.faces)
    wild_px = others_px - others.truth_px
    studio_px = system.predict(studio.faces)[0] - studio.truth_px
    wild = wild_px, without_kinds_offsets(wild_px, others.kinds, learnt_px, training.kinds)
    raw_px, corrected_px = (
        {source: errors_px[others.kinds == kind] for kind, source in enumerate(SOURCES)} for errors_px in wild
    )
    return _Measured(
        raw_px | {"IMM": studio_px},
        corrected_px | {"IMM": without_offsets(studio_px, studio.kinds)},
        milliseconds,
    )


def _cost(system: _System, measured: _Measured, faces: Images) -> dict[str, str]:
    one_ms = median(measured.milliseconds)
    in_batches = system.faces_a_second(faces) if system.faces_a_second else 1e3 / one_ms
    found = {f"found, {of}": f"{_found(errors_px).mean():.1%}" for of, errors_px in measured.raw_px.items()}
    return {
        "system": system.name,
        **found,
        "ms a face": f"{one_ms:.2f}",
        "faces/s in batches": f"{in_batches:.0f}",
        "model MB": f"{system.megabytes:.1f}" if system.megabytes else "-",
    }


def _found(points_px: Pixels) -> npt.NDArray[np.bool_]:
    """Which faces have any point, shape (n,)."""
    return np.isfinite(points_px).any(axis=(1, 2))


def _rmse_px(errors_px: Pixels) -> float:
    return round(float(np.sqrt(np.nanmean(errors_px**2))), 3)
