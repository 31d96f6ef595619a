"""Labels that look wrong, one at a time: each is kept, dropped or moved, and every decision kept at once."""

import hashlib
import os
import tempfile
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
from filelock import FileLock

from fkd.core.errors import UserError
from fkd.core.files import is_there
from fkd.core.keypoints import is_labelled
from fkd.data.faces import FaceData
from fkd.data.label_decisions import Decision, Verdict, read_decisions, write_decisions
from fkd.ensemble.suspect_labels import SuspectLabel


@dataclass(frozen=True)
class _Done:
    """A decision that can be taken back: on which label, what there was before, what there is since."""

    position: int
    former: Decision | None
    latter: Decision | None


class Review:
    """The labels to look at, and what is decided on them in a CSV; for one thread at a time.

    Several pages and processes may decide: each reads the CSV again before it writes, and undoes only its own
    decisions. Raises UserError where there is nothing to look at, and as `read_decisions` does for a CSV that
    is there already: its decisions are kept and go on.
    """

    def __init__(self, suspects: Sequence[SuspectLabel], faces: FaceData, path: Path) -> None:
        self._suspects, self._faces, self.path = suspects, faces.training, path
        self._names = faces.point_names
        self._done = dict[str, list[_Done]]()  # by page
        self._moving: tuple[str, int] | None = None  # which page moves which label, step by step
        self._file = Path(os.path.realpath(path))  # a link stays one
        self._lock = FileLock(_lock_of(self._file))
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
        self._moving = None
        return self._item(min(position, len(self._suspects) - 1))

    def decide(self, page: str, position: int, label: str, decision: Decision | None) -> dict[str, Any]:
        """Decide on a label, None to take its decision back, and keep that; returns it as `show` does.

        label: its `name`, as the page shows it. Raises UserError where another one is in this place.
        """
        if position >= len(self._suspects) or label != self._name(position):
            raise UserError("this page shows a list that is no longer reviewed here; reload it")
        if decision and decision.moved_px:  # as the CSV keeps it
            x_px, y_px = decision.moved_px
            decision = Decision(decision.verdict, (round(x_px, 2), round(y_px, 2)))
        former = self._keep(position, decision)
        done = self._done.setdefault(page, [])
        # A label that is moved step by step is put back at once.
        if self._moving == (page, position) and done and done[-1].latter == former:
            done[-1] = replace(done[-1], latter=decision)
        elif former != decision:
            done.append(_Done(position, former, decision))
        is_moved = decision is not None and decision.verdict == Verdict.MOVE
        self._moving = (page, position) if is_moved else None
        return self._item(position)

    def undo(self, page: str) -> dict[str, Any]:
        """Take a page's last decision back and show its label.

        Raises UserError where there is none, and where the CSV holds another decision on the label by now.
        """
        self._moving = None
        if not (done := self._done.get(page)):
            raise UserError("nothing is left to undo; X takes the decision on this label back")
        last = done.pop()
        self._keep(last.position, last.former, only_if=last)
        return self._item(last.position)

    def _keep(
        self, position: int, decision: Decision | None, only_if: _Done | None = None
    ) -> Decision | None:
        """Write a decision, or its absence, into the CSV; returns the former one."""
        suspect = self._suspects[position]
        with self._lock:
            decisions = self._read()
            former = decisions.pop((suspect.row, suspect.point), None)
            if only_if and former != only_if.latter:
                raise UserError(
                    f"the decision on {self._name(position)} has been changed elsewhere since, so it stays"
                )
            if decision:
                decisions[suspect.row, suspect.point] = decision
            write_decisions(self._file, decisions, self._names)
        return former

    def _read(self) -> dict[tuple[int, int], Decision]:
        """What the CSV holds now."""
        if not is_there(self._file):
            return {}
        return read_decisions(self._file, self._names, len(self._faces.ids), to_rewrite=True)

    def _name(self, position: int) -> str:
        suspect = self._suspects[position]
        return f"{self._names[suspect.point]} of row {suspect.row}"

    def _item(self, position: int) -> dict[str, Any]:
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
            "name": self._name(position),
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


def _lock_of(file: Path) -> Path:
    """Beside no data of the user's: the same for every process of this machine."""
    digest = hashlib.sha256(os.fsencode(file)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"fkd-review-{digest}.lock"


def _png_url(image: Any) -> str:
    return f"data:image/png;base64,{b64encode(cv2.imencode('.png', image)[1].tobytes()).decode()}"
