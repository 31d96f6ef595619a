"""The JSON records of a run: all are read through one door and written through another.

A record is a JSON object with its own keys, the `version` of its form, and a `checksum` over all others.
Those of earlier programs have neither: they are held to their model alone.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fkd.core.errors import UserError, first_problem, one_line
from fkd.core.files import atomic_write_json, read_regular

_VERSION, _CHECKSUM = "version", "checksum"
_THIS_VERSION = 2

Number = Annotated[int, Field(ge=0, lt=2**31)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=200)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class DamagedRecordError(UserError):
    """A file of a run that is not as fkd wrote it, or is missing; names it and the way out."""


class Record(BaseModel):
    """Base of all records: immutable, unknown keys refused, no conversion of types.

    expected: what it is, in words. way_out: what to do where it is damaged. most_bytes: no file is larger.
    """

    # Built when first used: most calls read few of them.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    expected: ClassVar[str]
    way_out: ClassVar[str]
    most_bytes: ClassVar[int] = 16 * 2**20


AnyRecord = TypeVar("AnyRecord", bound=Record)


class DoneRecord(Record):
    """done.json: a member is finished.

    member: such as `four/07`; earlier versions do not say it. files: what selecting and predicting read, by
    name, with their checksums.
    """

    expected = "what fkd writes for a finished member"
    way_out = "fkd train makes the member's files again from its state"

    member: str | None = None
    epochs: Number = 0
    best_epoch: Number = 0
    best_rmse_px: float | None = Field(None, ge=0, allow_inf_nan=False)
    saving_seconds: float = Field(0.0, ge=0, allow_inf_nan=False)
    files: dict[FileName, Sha256]


Place = Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=2, max_length=2)]
TaughtPoints = list[list[Annotated[list[float], Field(min_length=2, max_length=2)]]]


class ReviewedLabel(BaseModel):
    """A label that a person dropped, or moved to a place in pixels."""

    model_config = Record.model_config

    row: Number
    point: Number
    moved_px: Place | None = None


class SplitRecord(Record):
    """split.json: a specialist's rows of training.csv; `fkd.runs.splits.Split` says what they are.

    specialist: earlier versions do not say it. taught_px: of distillation, by training row, point, x and y.
    taught_test_px: the same by test image, where these train, too.
    """

    expected = "the rows that train and validate a specialist"
    way_out = (
        "put it back from a backup or the remote store, or train anew with --fresh (make: FRESH=1), which "
        "keeps the former run beside it"
    )
    most_bytes = 2**29  # 68 points taught to 100,000 faces take 0.2 GB

    specialist: str | None = None
    training: list[Number] = Field(min_length=1)
    validation: list[Number] = Field(min_length=1)
    validation_groups: list[Number]
    dropped_labels: list[Annotated[list[Number], Field(min_length=2, max_length=2)]] = []
    reviewed_labels: list[ReviewedLabel] = []
    taught_px: TaughtPoints | None = None
    taught_test_px: TaughtPoints | None = None

    @model_validator(mode="after")
    def _check_rows(self) -> Self:
        rows = self.training + self.validation
        if len(set(rows)) < len(rows):
            raise ValueError("a row is listed twice")
        if len(self.validation_groups) != len(self.validation):
            raise ValueError(
                f"{len(self.validation)} validation rows have {len(self.validation_groups)} groups"
            )
        if self.taught_px is not None and len(self.taught_px) != len(self.training):
            raise ValueError(f"{len(self.training)} training rows are taught {len(self.taught_px)} faces")
        return self


class SelectRecord(Record):
    """Base of the records, and of their parts, that `fkd select` writes."""

    expected = "what fkd select writes"
    way_out = "run fkd select again"


class SubmissionRecord(Record):
    """submission.json: the checksum of the submission.csv beside it."""

    expected = "the checksum of the submission that fkd submit wrote"
    way_out = "run fkd submit again"

    sha256: Sha256


class KaggleRecord(Record):
    """kaggle.json: Kaggle's scores of the submission with this checksum; None for one that is secret."""

    expected = "the scores that fkd submit --to-kaggle wrote"
    way_out = "remove it and submit again"

    sha256: Sha256
    message: str
    public_px: float | None = Field(None, ge=0, allow_inf_nan=False)
    private_px: float | None = Field(None, ge=0, allow_inf_nan=False)


class Provenance(Record):
    """provenance.json: the data's name and checksum, and versions by name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str]

    expected = "versions and the data's checksum"
    way_out = (
        "put it back from a backup or the remote store; or, if the run was trained on the data that you name "
        "now, remove it, and fkd train writes it anew"
    )

    data_checksum: str


def write_record(path: Path, record: Record) -> None:
    """Write a record with its version and checksum, whole or not at all."""
    content = {**record.model_dump(exclude_none=True), _VERSION: _THIS_VERSION}
    atomic_write_json(path, content | {_CHECKSUM: _checksum(content)})


def read_record(path: Path, model: type[AnyRecord]) -> AnyRecord:
    """Read a record; raises DamagedRecordError where it is missing or not as it was written."""
    try:
        content = read_regular(path, model.most_bytes)
    except FileNotFoundError:
        raise damaged(str(path), model, "none") from None
    except ValueError as error:
        raise damaged(str(path), model, str(error)) from error
    return parse_record(content, str(path), model)


def parse_record(content: bytes, place: str, model: type[AnyRecord]) -> AnyRecord:
    """A record from a file's content; raises DamagedRecordError, naming `place`."""
    try:
        values = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        problem = f"another file ({one_line(error)})" if content.strip() else "an empty file"
        raise damaged(place, model, problem) from error
    if isinstance(values, dict):
        values = _verified(values, place, model)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise damaged(place, model, first_problem(error)) from error


def damaged(place: str, model: type[Record], received: str) -> DamagedRecordError:
    """The error for a record of which something else was received."""
    problem = one_line(received)[:200]  # a name in the file may hold a line break
    return DamagedRecordError(f"{place}: expected {model.expected}, received {problem}; {model.way_out}")


def _verified(values: dict[str, Any], place: str, model: type[Record]) -> dict[str, Any]:
    """A record's own values, once its checksum holds; those of earlier versions as they are."""
    if _VERSION not in values and _CHECKSUM not in values:
        return values
    checksum = values.pop(_CHECKSUM, None)
    if checksum != _checksum(values):
        raise damaged(place, model, "contents that do not match their checksum")
    version = values.pop(_VERSION, None)
    if version != _THIS_VERSION:
        raise DamagedRecordError(
            f"{place}: expected a record of version {_THIS_VERSION}, received version {version!r:.20}; use "
            "the fkd that wrote it"
        )
    return values


def _checksum(values: dict[str, Any]) -> str:
    """SHA-256 of the values as JSON, whatever their order and indentation in the file."""
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
