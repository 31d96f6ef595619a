"""Labels that look wrong, one at a time: each is kept, dropped or moved, and every decision kept at once."""

from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from fkd.core.errors import UserError
from fkd.core.keypoints import is_labelled
from fkd.data.faces import FaceData
from fkd.data.label_decisions import Decision, Verdict, read_decisions, write_decisions
from fkd.ensemble.suspect_labels import SuspectLabel


class Review:
    """The labels to look at, and what is decided on them in a CSV; for one thread at a time.

    Raises UserError where there is nothing to look at, and as `read_decisions` does for a CSV that is there
    already: its decisions are kept and go on.
    """

    def __init__(self, suspects: Sequence[SuspectLabel], faces: FaceData, path: Path) -> None:
        self._suspects, self._faces, self.path = suspects, faces.training, path
        self._names = faces.point_names
        self._undoable = list[tuple[int, Decision | None]]()  # and what there was before
        if not suspects:
            raise UserError(f"{faces.name}: no label lies outside its radius, so there is none to review")
        self._read()

    @property
    def decided(self) -> int:
        """How many decisions the CSV holds."""
        return len(self._read())

    def first(self) -> dict[str, Any]:
        """The first label that is not decided on, or the first of all."""
        decisions = self._read()
        labels = enumerate((one.row, one.point) for one in self._suspects)
        return self.show(next((position for position, label in labels if label not in decisions), 0))

    def show(self, position: int) -> dict[str, Any]:
        """A label and its face, as the page draws them; beyond the last, the last."""
        position = self._clipped(position)
        suspect, decisions = self._suspects[position], self._read()
        points_px = self._faces.keypoints[suspect.row].copy()
        points_px[suspect.point] = float("nan")
        others_px = points_px[is_labelled(points_px[None])[0]]
        decision = decisions.get((suspect.row, suspect.point))
        labels = ((one.row, one.point) for one in self._suspects)
        verdicts = Counter(decisions[label].verdict for label in labels if label in decisions)
        return {
            "position": position,
            "count": len(self._suspects),
            "verdicts": {verdict.value: verdicts[verdict] for verdict in Verdict},
            "row": suspect.row,
            "keypoint": self._names[suspect.point].replace("_", " "),
            "picture": _png_url(self._faces.images[suspect.row]),
            "label_px": suspect.label_px,
            "predicted_px": suspect.predicted_px,
            "radius_px": suspect.radius_px,
            "distance_px": suspect.radii * suspect.radius_px,
            "radii": suspect.radii,
            "is_unseen": suspect.is_unseen,
            "others_px": others_px.tolist(),
            "verdict": decision and decision.verdict.value,
            "moved_px": decision and decision.moved_px,
        }

    def decide(self, position: int, decision: Decision | None) -> dict[str, Any]:
        """Decide on a label, None to take its decision back, and keep that; returns it as `show` does."""
        position = self._clipped(position)
        former = self._keep(position, decision)
        if not self._is_a_further_step(position, decision, former):
            self._undoable.append((position, former))
        return self.show(position)

    def undo(self, position: int) -> dict[str, Any]:
        """Take the last decision back and show its label; where there is none, the one asked for."""
        if self._undoable:
            position, former = self._undoable[-1]
            self._keep(position, former)
            self._undoable.pop()
        return self.show(position)

    def _is_a_further_step(self, position: int, decision: Decision | None, former: Decision | None) -> bool:
        """A label that is moved step by step is put back at once."""
        follows = bool(self._undoable) and self._undoable[-1][0] == position
        return follows and all(one is not None and one.verdict == Verdict.MOVE for one in (decision, former))

    def _keep(self, position: int, decision: Decision | None) -> Decision | None:
        """Write a decision, or its absence, into the CSV; returns the former one."""
        suspect, decisions = self._suspects[position], self._read()
        former = decisions.pop((suspect.row, suspect.point), None)
        if decision:
            decisions[suspect.row, suspect.point] = decision
        write_decisions(self.path, decisions, self._names)
        return former

    def _read(self) -> dict[tuple[int, int], Decision]:
        """What the CSV holds now: a person or another page may have written to it."""
        return read_decisions(self.path, self._names, len(self._faces.ids)) if self.path.exists() else {}

    def _clipped(self, position: int) -> int:
        return min(position, len(self._suspects) - 1)


def _png_url(image: Any) -> str:
    return f"data:image/png;base64,{b64encode(cv2.imencode('.png', image)[1].tobytes()).decode()}"
