"""members.onnx of a run: its chosen members as one graph for ONNX Runtime, which needs no Keras."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fkd.core.errors import one_line
from fkd.core.files import atomic_path, sha256
from fkd.core.say import Say
from fkd.experiment.experiment import Experiment
from fkd.experiment.records import DamagedRecordError, Record, Sha256, read_record, write_record
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import Run, has_checksum
from fkd.training.test_time_augmentation import unwarp_points, view_matrices, warp_faces

if TYPE_CHECKING:
    from fkd.core.lean_keras import keras

ONNX_PACKAGES = ("onnx", "onnxruntime", "tf2onnx")
# `keras` in this variable predicts by Keras though ONNX Runtime is installed.
RUNTIME_VARIABLE = "FKD_RUNTIME"
_STANDARD_ERROR = 2

# Bounds the memory of the activations.
_FACES_AT_ONCE = 32

# Member numbers by specialist; a repeated number weighs double, those of a Stack have its weights.
Chosen = Mapping[str, Sequence[int]]
Points = npt.NDArray[np.float32]


class _GraphRecord(Record):
    """What members.onnx was made of. weights: the checksum of every member's, by its name."""

    expected = "what members.onnx was made of"
    way_out = "remove it, it is written anew"

    graph: Sha256
    weights: dict[str, Sha256]
    mirrored: bool
    peaks: str


@dataclass(frozen=True)
class GraphMembers:
    """Members that predict all at once. numbers: of the members of each output, by specialist."""

    session: Any
    numbers: Mapping[str, Sequence[int]]

    def __call__(
        self, experiment: Experiment, faces: npt.NDArray[np.uint8]
    ) -> Mapping[str, Mapping[int, Points]]:
        """The points of each member by specialist and number, shape (n, points, 2) in pixels."""
        views = view_matrices(experiment.prediction.views)
        outputs = zip(*(self._in_view(faces, matrix) for matrix in views), strict=True)
        means = [np.mean(by_view, axis=0) for by_view in outputs]
        return {
            specialist: {index: output[:, place] for place, index in enumerate(numbers)}
            for (specialist, numbers), output in zip(self.numbers.items(), means, strict=True)
        }

    def _in_view(self, faces: npt.NDArray[np.uint8], matrix: npt.NDArray[np.float64]) -> list[Points]:
        """By specialist, shape (n, members, points, 2)."""
        view = warp_faces(faces, matrix)
        starts = range(0, len(view), _FACES_AT_ONCE)
        parts = [self.session.run(None, {"images": view[at : at + _FACES_AT_ONCE]}) for at in starts]
        return [unwarp_points(np.concatenate(output), matrix) for output in zip(*parts, strict=True)]


def open_graph(run: Run, experiment: Experiment, chosen: Chosen, say: Say) -> GraphMembers | None:
    """The chosen members as one graph, which is written where it is not there or of others.

    None where ONNX Runtime or what converts to it is not installed, where FKD_RUNTIME=keras, and, which is
    said, where the members cannot be converted or the graph cannot be written. Raises DamagedRecordError for
    a member whose weights are damaged.
    """
    if os.environ.get(RUNTIME_VARIABLE) == "keras" or not all(map(find_spec, ONNX_PACKAGES)):
        return None
    numbers = {specialist: sorted(set(members)) for specialist, members in chosen.items()}
    record = {
        "weights": {
            MemberId(specialist, index).name: sha256(run.member(specialist, index).best_weights)
            for specialist, members in numbers.items()
            for index in members
        },
        "mirrored": experiment.prediction.mirrored,
        "peaks": experiment.prediction.peaks,
    }
    if not _is_of(run, record):
        say(f"{run.members_graph}: writing the members for ONNX Runtime, once ...")
        try:
            _write(run, experiment, numbers, record)
        except DamagedRecordError:
            raise
        except Exception as error:  # of whatever kind the converters raise; a store that cannot be written
            say(
                f"{run.members_graph}: not written ({one_line(error):.160}); predicting by Keras, which "
                "FKD_RUNTIME=keras asks for"
            )
            return None
    return GraphMembers(open_onnx(run.members_graph), numbers)


def write_onnx(model: "keras.Model", path: Path) -> None:
    """Convert a model that takes faces; raises whatever the converters do."""
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # what it cannot convert, the reader refuses
    model(np.zeros((1, *model.input_shape[1:]), np.uint8))  # Keras converts only what was called
    with warnings.catch_warnings(action="ignore"), _silence():  # of the converter, about NumPy
        model.export(path, format="onnx", verbose=False)


def open_onnx(path: Path) -> Any:
    """A session of ONNX Runtime on the CPU."""
    import onnxruntime

    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@contextmanager
def _silence() -> Iterator[None]:
    """Nothing on standard error, where TensorFlow's optimiser writes whatever the level of its log is."""
    sys.stderr.flush()
    former = os.dup(_STANDARD_ERROR)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), _STANDARD_ERROR)
    try:
        yield
    finally:
        os.dup2(former, _STANDARD_ERROR)
        os.close(former)


def _is_of(run: Run, record: Mapping[str, Any]) -> bool:
    """Whether the graph that is there was made of these members, and is whole."""
    try:
        kept = read_record(run.members_graph_record, _GraphRecord)
    except DamagedRecordError:  # or none
        return False
    return kept.model_dump(exclude={"graph"}) == record and has_checksum(run.members_graph, kept.graph)


def _write(run: Run, experiment: Experiment, chosen: Chosen, record: Mapping[str, Any]) -> None:
    from fkd.ensemble.members_graph import members_model  # loads Keras

    model = members_model(run, experiment, chosen)
    with atomic_path(run.members_graph) as temporary:
        write_onnx(model, temporary)
        open_onnx(temporary)
    write_record(run.members_graph_record, _GraphRecord(graph=sha256(run.members_graph), **record))
