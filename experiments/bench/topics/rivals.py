"""fkd's ensembles against the packages that people take for face points today.

All see the same 96x96 faces. How a package is best shown a face, which of its points is meant, and what is
always off to one side is chosen on faces that trained the champion; the figures are of other faces.
"""

import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
import pandas as pd

from experiments.bench.rows import seconds
from experiments.bench.subjects.command import FKD
from experiments.bench.subjects.face_sets import (
    SOURCES,
    FaceSet,
    are_found,
    champions_faces,
    root_mean_square,
    without_kinds_offsets,
)
from experiments.bench.subjects.finished_run import OURS, stored_run
from experiments.bench.subjects.labelled_photos import found_faces, imm_photos, without_offsets
from experiments.bench.subjects.rivals import RIVALS, Pixels, Rival, fit_rival
from fkd.deploy.model_formats import FORMATS

AT_ONCE = 64  # faces in a batch

Images = npt.NDArray[np.uint8]


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
    training, others = champions_faces(data_folder)
    studio = FaceSet(*found_faces(imm_photos()))
    with tempfile.TemporaryDirectory() as folder:
        systems = [*_ours(data_folder, Path(folder)), *(_rival(rival, training) for rival in RIVALS)]
        measured = {system.name: _measure(system, training, others, studio) for system in systems}
        costs = [_cost(system, measured[system.name], others.faces) for system in systems]
    sets = measured[systems[0].name].raw_px
    by_all = {
        name: np.logical_and.reduce([are_found(one.raw_px[name]) for one in measured.values()])
        for name in sets
    }
    return {
        "Against other packages, RMSE px": pd.DataFrame(
            {"system": name}
            | {of: root_mean_square(one.raw_px[of][by_all[of]]) for of in sets}
            | {f"{of}, offset removed": root_mean_square(one.corrected_px[of][by_all[of]]) for of in sets}
            for name, one in measured.items()
        ),
        "What they cost, on one core": pd.DataFrame(costs),
    }


def _ours(data_folder: Path, folder: Path) -> list[_System]:
    """The chosen members of those of our runs that are there as ONNX files, as they are and in 8 bits."""
    systems = []
    for name in OURS:
        if not stored_run(name, data_folder).selection.is_file():
            print(f"fkd {name}: left out, no members are chosen; train and submit it", flush=True)
            continue
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


def _rival(rival: Rival, training: FaceSet) -> _System:
    return _System(rival.name, fit_rival(rival, training).on_faces)


def _measure(system: _System, training: FaceSet, others: FaceSet, studio: FaceSet) -> _Measured:
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
    found = {
        f"found, {of}": f"{are_found(errors_px).mean():.1%}" for of, errors_px in measured.raw_px.items()
    }
    return {
        "system": system.name,
        **found,
        "ms a face": f"{one_ms:.2f}",
        "faces/s in batches": f"{in_batches:.0f}",
        "model MB": f"{system.megabytes:.1f}" if system.megabytes else "-",
    }
