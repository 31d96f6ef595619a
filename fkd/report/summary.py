"""What a report answers first: how good the run is, which members are chosen, what it took, what is next."""

import numpy as np

from fkd.core.errors import UserError
from fkd.core.files import is_there
from fkd.data.faces import FaceData
from fkd.ensemble.selection import Estimate, pooled
from fkd.ensemble.submission import read_submission, total_rmse_px
from fkd.experiment.records import KaggleRecord, read_record
from fkd.experiment.store import HistoryColumn, has_checksum
from fkd.report.page import Answer, Opening
from fkd.report.run_record import RunRecord, SpecialistRecord


def summary(record: RunRecord, faces: FaceData) -> Opening:
    """The answers of a run, finished or not; faces: the data that it was trained on."""
    answers = [
        *_kaggle(record),
        *_score(record, faces),
        *_estimates(record),
        _members(record),
        _minutes(record),
    ]
    return Opening(answers, f"Next: {_next(record, faces)}")


def _kaggle(record: RunRecord) -> list[Answer]:
    """Kaggle's scores, where they are those of the submission that is there."""
    run = record.run
    if not is_there(run.kaggle_record):
        return []
    kaggle = read_record(run.kaggle_record, KaggleRecord)
    if not has_checksum(run.submission, kaggle.sha256):
        return []
    scores = {"public": kaggle.public_px, "private": kaggle.private_px}
    return [
        Answer(f"{px:.3f} px", f"{name} score at Kaggle") for name, px in scores.items() if px is not None
    ]


def _score(record: RunRecord, faces: FaceData) -> list[Answer]:
    if faces.solution is None or not is_there(record.run.submission):
        return []
    try:
        score_px = total_rmse_px(read_submission(record.run.submission), faces.solution)
    except UserError:  # another file lies in its place, which the errors' section tells
        return []
    return [Answer(f"{score_px:.3f} px", "RMSE of the submission against the hidden labels")]


def _estimates(record: RunRecord) -> list[Answer]:
    """What the chosen members are worth on faces that took no part in their choice."""
    ending = [one for one in record.selected if one.name in record.experiment.ending]
    if not ending:
        return []
    labels = [int(np.isfinite(one.truth_px).sum()) for one in ending]
    together = pooled([_chosen(one) for one in ending], labels)
    crossed = together.cross_validated_px is not None
    how = "members chosen on other people's faces" if crossed else "too few people to choose on others"
    answers = [Answer(_pixels(together), f"RMSE to expect on new faces ({how})")]
    if len(ending) > 1:
        answers += [Answer(_pixels(_chosen(one)), f"for the points of {one.name}") for one in ending]
    return answers


def _chosen(specialist: SpecialistRecord) -> Estimate:
    assert specialist.selection
    return specialist.selection.average_of_chosen


def _pixels(estimate: Estimate) -> str:
    px = estimate.in_sample_px if estimate.cross_validated_px is None else estimate.cross_validated_px
    return f"{px:.3f} px"


def _done(record: RunRecord) -> int:
    return sum(member.state == "done" for member in record.members)


def _members(record: RunRecord) -> Answer:
    done = _done(record)
    chosen = sum(len(set(one.chosen)) for one in record.selected)
    wanted = len(record.experiment.members)
    trained = "all are trained" if done == wanted else f"{done} of {wanted} are trained"
    return Answer(f"{chosen} of {done}", f"trained members are chosen; {trained}")


def _minutes(record: RunRecord) -> Answer:
    minutes = sum(float(member.history[HistoryColumn.SECONDS].sum()) for member in record.members) / 60
    return Answer(f"{minutes:,.{0 if minutes >= 100 else 1}f} min", "of training, all members together")


def _next(record: RunRecord, faces: FaceData) -> str:
    words = f"{record.experiment.name} --data {faces.name}"
    if _done(record) < len(record.experiment.members):
        return f"fkd train {words}, which goes on where it stopped."
    if faces.lookup.empty:
        return f"fkd export {words}, or fkd predict with a photo."
    if not is_there(record.run.submission):
        return f"fkd submit {words}, which predicts the test images."
    review = f"make review EXPERIMENT={record.experiment.name} DATA={faces.name}, labels that look wrong"
    if faces.solution is not None:
        return f"{review}, or make demo, a page to drop a photo on."
    return f"fkd submit {words} --to-kaggle MESSAGE, or {review}."
