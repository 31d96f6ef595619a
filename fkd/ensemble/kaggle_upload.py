"""A submission given to the competition by Kaggle's own client, and the scores that come back."""

import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from fkd.core.errors import UserError
from fkd.core.files import sha256
from fkd.core.say import Say
from fkd.data.source import COMPETITION, COMPETITION_PAGE, MAKE_TOKEN, has_kaggle_credentials
from fkd.experiment.records import KaggleRecord, write_record
from fkd.experiment.store import Run

if TYPE_CHECKING:
    import requests
    from kagglesdk import KaggleClient
    from kagglesdk.competitions.types.competition_api_service import ApiSubmission

_ASK_AGAIN_S = 5.0
_PATIENCE_S = 600.0
_UPLOAD_S = 120.0


def require_kaggle(data: str) -> None:
    """Raise UserError before any work where nothing can be uploaded: for drawn faces, without credentials."""
    if data == "synthetic":
        raise UserError(
            "--to-kaggle: expected the competition's data, received the drawn faces; add --data kaggle "
            "(make: DATA=kaggle), or leave it out"
        )
    if not has_kaggle_credentials():
        raise UserError(
            f"--to-kaggle: expected Kaggle credentials, received none; {MAKE_TOKEN}, or leave it out "
            f"and give the CSV to {COMPETITION_PAGE}/submit by hand"
        )


def submit_to_kaggle(run: Run, message: str, say: Say) -> KaggleRecord:
    """Upload a run's submission, wait for its scores, print them and keep them in the run's kaggle.json.

    Raises UserError, and the CSV stays, before the rules are accepted, past the day's limit, where Kaggle
    refuses the file, and where it does not answer. `require_kaggle` comes first.
    """
    import requests
    from kagglehub.clients import build_kaggle_client  # half a second

    try:
        client = build_kaggle_client()
        ref = _upload(client, run, message)
        say(f"{run.submission}: uploaded; waiting for its scores")
        scored = _wait(client, ref)
    except requests.HTTPError as error:
        raise _refused(run, error) from error
    except requests.RequestException as error:
        received = f"no answer ({type(error).__name__})"
        raise _kept(run, "to reach Kaggle", received, "check the network and try again") from error
    if scored is None:
        raise _kept(run, "scores within ten minutes", "none", f"look at {COMPETITION_PAGE}/submissions")
    if scored.error_description:
        raise _kept(run, "a submission that Kaggle can score", scored.error_description, "correct it")
    record = KaggleRecord(
        sha256=sha256(run.submission),
        message=message,
        public_px=_score(scored.public_score),
        private_px=_score(scored.private_score),
    )
    write_record(run.kaggle_record, record)
    say(f"Kaggle's scores: public {scored.public_score or 'none'}, private {scored.private_score or 'none'}")
    return record


def _upload(client: "KaggleClient", run: Run, message: str) -> int:
    """Send the CSV and hand it in; returns the submission's number."""
    import requests
    from kagglesdk.competitions.types.competition_api_service import (
        ApiCreateSubmissionRequest,
        ApiStartSubmissionUploadRequest,
    )

    api, content = client.competitions.competition_api_client, run.submission.read_bytes()
    start = ApiStartSubmissionUploadRequest()
    start.competition_name, start.file_name = COMPETITION, run.submission.name
    start.content_length = len(content)
    start.last_modified_epoch_seconds = int(run.submission.stat().st_mtime)
    place = api.start_submission_upload(start)
    requests.put(place.create_url, data=content, timeout=_UPLOAD_S).raise_for_status()
    create = ApiCreateSubmissionRequest()
    create.competition_name, create.blob_file_tokens = COMPETITION, place.token
    create.submission_description = message
    return api.create_submission(create).ref


def _wait(client: "KaggleClient", ref: int) -> "ApiSubmission | None":
    """The submission once it is scored or refused; None where that takes too long."""
    from kagglesdk.competitions.types.competition_api_service import ApiGetSubmissionRequest
    from kagglesdk.competitions.types.submission_status import SubmissionStatus

    request, until_s = ApiGetSubmissionRequest(), time.monotonic() + _PATIENCE_S
    request.ref = ref
    while time.monotonic() < until_s:
        found = client.competitions.competition_api_client.get_submission(request)
        if found.status != SubmissionStatus.PENDING:
            return found
        time.sleep(_ASK_AGAIN_S)
    return None


def _score(text: str | None) -> float | None:
    return float(text) if text else None


def _refused(run: Run, error: "requests.HTTPError") -> UserError:
    status = error.response.status_code if error.response is not None else 0
    received = f"a refusal ({status}: {error})"
    if status == HTTPStatus.UNAUTHORIZED:
        return _kept(run, "valid Kaggle credentials", received, "make a new API token")
    if status == HTTPStatus.FORBIDDEN:
        return _kept(run, "leave to submit", received, f"accept the rules on {COMPETITION_PAGE}/rules")
    return _kept(run, "that Kaggle takes the file", received, "try again later; a day has few submissions")


def _kept(run: Run, expected: str, received: str, remedy: str) -> UserError:
    """One line that ends with the way round Kaggle's interface."""
    return UserError(
        f"--to-kaggle: expected {expected}, received {' '.join(received.split())}; {remedy}, or give "
        f"{run.submission}, which is kept, to {COMPETITION_PAGE}/submit by hand"
    )
