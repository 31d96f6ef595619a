"""Kaggle's own client against a service that speaks as much of its protocol as a submission needs."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import kagglesdk.kaggle_http_client
import pytest

from fkd.core.errors import UserError
from fkd.core.files import sha256
from fkd.ensemble import kaggle_upload
from fkd.ensemble.kaggle_upload import require_kaggle, submit_to_kaggle
from fkd.experiment.records import KaggleRecord, read_record
from fkd.experiment.store import Run

CSV = b"RowId,Location\n1,50.0\n"


class Kaggle(ThreadingHTTPServer):
    """A stand-in; what it was asked is in `asked`, what it refuses, by the request's name, in `refuses`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: list[tuple[str, object]] = []
        self.refuses: dict[str, tuple[int, str]] = {}
        self.pending = 1
        self.scored: dict[str, object] = {
            "status": "COMPLETE",
            "publicScore": "2.125",
            "privateScore": "1.875",
        }

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Kaggle

    def do_POST(self) -> None:
        name = self.path.rpartition("/")[2]
        asked = json.loads(self._body())
        self.server.asked.append((name, asked | {"token": self.headers["Authorization"]}))
        if name in self.server.refuses:
            status, message = self.server.refuses[name]
            return self._answer(status, {"code": status, "message": message})
        if name == "StartSubmissionUpload":
            return self._answer(200, {"token": "the-file", "createUrl": f"{self.server.address}/upload"})
        if name == "CreateSubmission":
            return self._answer(200, {"message": "taken", "ref": 7})
        self.server.pending -= 1
        pending = {"status": "PENDING"}
        return self._answer(200, {"ref": 7, **(pending if self.server.pending >= 0 else self.server.scored)})

    def do_PUT(self) -> None:
        self.server.asked.append(("PUT", self._body()))
        self._answer(200, {})

    def log_message(self, *words: object) -> None:
        pass

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _answer(self, status: int, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kaggle]:
    with Kaggle() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(kagglesdk.kaggle_http_client, "get_endpoint", lambda env: server.address)
        monkeypatch.setattr(kaggle_upload, "_ASK_AGAIN_S", 0.01)
        monkeypatch.setenv("KAGGLE_API_TOKEN", "secret")
        yield server
        server.shutdown()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path)
    run.submission.write_bytes(CSV)
    return run


def test_a_submission_is_uploaded_and_its_scores_are_kept(kaggle: Kaggle, run: Run) -> None:
    said: list[str] = []
    submit_to_kaggle(run, "six members", said.append)
    assert [name for name, _ in kaggle.asked] == [
        *("StartSubmissionUpload", "PUT", "CreateSubmission", "GetSubmission", "GetSubmission")
    ]
    asked = dict(kaggle.asked)
    assert asked["PUT"] == CSV
    start, create = asked["StartSubmissionUpload"], asked["CreateSubmission"]
    assert isinstance(start, dict)
    assert isinstance(create, dict)
    assert start["competitionName"] == create["competitionName"] == "facial-keypoints-detection"
    assert (start["contentLength"], start["fileName"]) == (len(CSV), "submission.csv")
    assert (create["blobFileTokens"], create["submissionDescription"]) == ("the-file", "six members")
    assert create["token"] == "Bearer secret"
    assert said[-1] == "Kaggle's scores: public 2.125, private 1.875"
    record = read_record(run.kaggle_record, KaggleRecord)
    assert (record.public_px, record.private_px, record.message) == (2.125, 1.875, "six members")
    assert record.sha256 == sha256(run.submission)


def test_a_score_that_is_kept_secret_is_none(kaggle: Kaggle, run: Run) -> None:
    kaggle.scored = {"status": "COMPLETE", "publicScore": "2.125", "privateScore": ""}
    assert submit_to_kaggle(run, "", print).private_px is None


@pytest.mark.parametrize(
    ("request_name", "status", "message", "told"),
    [
        (
            "StartSubmissionUpload",
            401,
            "who?",
            "valid Kaggle credentials, .*401.*; make a new API token",
        ),
        ("CreateSubmission", 403, "rules", "expected leave to submit, .*; accept the rules on .*/rules"),
        (
            "CreateSubmission",
            400,
            "5 a day",
            "a refusal .400: 5 a day.; try again later; a day has few",
        ),
    ],
)
def test_what_kaggle_refuses_is_one_line_and_the_file_stays(
    kaggle: Kaggle, run: Run, request_name: str, status: int, message: str, told: str
) -> None:
    kaggle.refuses[request_name] = status, message
    with pytest.raises(UserError, match=f"^--to-kaggle: .*{told}.* by hand$"):
        submit_to_kaggle(run, "", print)
    assert run.submission.read_bytes() == CSV
    assert not run.kaggle_record.exists()


def test_a_file_that_cannot_be_scored_is_told(kaggle: Kaggle, run: Run) -> None:
    kaggle.scored = {"status": "ERROR", "errorDescription": "rows are missing"}
    with pytest.raises(UserError, match="received rows are missing; correct it"):
        submit_to_kaggle(run, "", print)


def test_scores_that_do_not_come_are_looked_up_on_the_page(
    kaggle: Kaggle, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    kaggle.pending = 10**6
    monkeypatch.setattr(kaggle_upload, "_PATIENCE_S", 0.1)
    with pytest.raises(UserError, match=r"received none; look at .*/submissions"):
        submit_to_kaggle(run, "", print)


def test_what_cannot_be_uploaded_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kaggle_upload, "has_kaggle_credentials", lambda: False)
    with pytest.raises(UserError, match="expected Kaggle credentials, received none; make an API token"):
        require_kaggle("kaggle")
    monkeypatch.setattr(kaggle_upload, "has_kaggle_credentials", lambda: True)
    require_kaggle("kaggle")
    with pytest.raises(UserError, match="expected the competition's data, received the drawn faces"):
        require_kaggle("synthetic")


def test_without_a_network(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kagglesdk.kaggle_http_client, "get_endpoint", lambda env: "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"expected to reach Kaggle, received no answer \(ConnectionError\)"):
        submit_to_kaggle(run, "", print)
