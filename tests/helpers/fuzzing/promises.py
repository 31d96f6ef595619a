"""What fkd promises whatever is damaged, checked after a call on a copy of the prepared folder."""

import csv
import hashlib
import io
import json
import os
import re
import stat
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import yaml
from command_line import read_arrays
from PIL import Image

from fkd.core.files import sha256
from fuzzing.calls import DERIVED, FINISHED, HALF, PHOTOS, WORK, Call
from fuzzing.watched import Outcome

Snapshot = Mapping[str, str]  # a path below the folder -> what is there
Results = Mapping[str, str]  # what a call gives, by the name of a file -> its checksum

EXIT_STATUSES = (0, 1, 2, 75)
MISUSED = 2
LARGEST_HASHED_BYTES = 2**30
# Libraries keep settings and lists of fonts at home; TensorFlow writes the code that it makes.
_LIBRARIES = re.compile(r"home/\.(cache|keras|config)(/.*)?|tmp/__autograph_generated_file\w+\.py")
_CACHE = re.compile(r"data(/cache(/faces-\w+\.npz)?)?")
_LEFTOVER = re.compile(r"\.temporary-|\.partial$|\.tmp$|\.aside$")
CACHE = "faces-xxxxxxxx.npz"  # its name depends on the folder
_CACHE_BUILT = ("Reading ", "The cache ")
_RUN_MOVED_ASIDE = re.compile(r"models_store/[^/]+-faces\.\d{8}-\d{6}(/.*)?")


@dataclass(frozen=True)
class Case:
    """One damage and one call.

    words: of the call, perhaps changed. victims: what is damaged, below the working folder. absurd: to be
    refused or named. targets: where words or a link say that it may write, below the working folder.
    vanished: another folder or none is in the place of one, so that nothing tells that it was there.
    """

    call: Call
    words: tuple[str, ...]
    damage: str
    victims: tuple[str, ...] = ()
    absurd: bool = False
    targets: tuple[str, ...] = ()
    vanished: bool = False

    @property
    def derived(self) -> bool:
        """Whether what is damaged follows from inputs: the results must be those of undamaged files."""
        return bool(self.victims) and self.victims[0].startswith(DERIVED) and self.call.verb != "score"


@dataclass(frozen=True)
class Verdict:
    """How a case ended in one word, and every promise that was broken."""

    ending: str
    findings: tuple[str, ...] = ()


def snapshot(base: Path) -> Snapshot:
    """What lies below a folder: kinds and checksums, nothing opened but plain files."""
    return dict(_walk(base))


def _walk(base: Path) -> Iterator[tuple[str, str]]:
    for folder, folders, files in os.walk(base):
        for name in (*folders, *files):
            path = Path(folder, name)
            yield path.relative_to(base).as_posix(), _what_is(path)


def _what_is(path: Path) -> str:
    found = path.lstat()
    rights = f"{stat.S_IMODE(found.st_mode):o}"
    if stat.S_ISLNK(found.st_mode):
        return f"link to {path.readlink()}"
    if not stat.S_ISREG(found.st_mode):
        return f"{stat.filemode(found.st_mode)[0]} {rights}"
    if found.st_size > LARGEST_HASHED_BYTES:
        return f"{found.st_size} bytes {rights}"
    return f"{sha256(path)} {rights}"


def results_of(call: Call, base: Path, outcome: Outcome) -> Results:
    """What a call has given: checksums of its files, of its run's arrays, or of what it printed."""
    work = base / WORK
    if call.trains:
        return _checksums_of_arrays(work / (HALF if "half.yaml" in call.words else FINISHED))
    if not call.results:
        lines = [line for line in outcome.output.splitlines() if not line.startswith(_CACHE_BUILT)]
        return {"said": "\n".join(plain(lines, base))}
    paths = sorted(path for pattern in call.results for path in work.glob(pattern) if path.is_file())
    return {path.relative_to(work).as_posix(): _checksum(path) for path in paths}


def _checksums_of_arrays(run: Path) -> Results:
    """Of every file with arrays; of one that cannot be read a word."""
    results = {}
    for path in sorted(run.glob("[a-z]*/[0-9][0-9]/*")):
        if not path.is_file():  # a FIFO would be waited for
            results[path.relative_to(run).as_posix()] = "no file"
            continue
        try:
            arrays = read_arrays(path)
        except Exception as error:  # damaged files raise nearly every kind there is
            results[path.relative_to(run).as_posix()] = type(error).__name__
            continue
        if arrays:
            content = "".join(f"{name}{array.dtype}{array.tobytes()!r}" for name, array in arrays.items())
            results[path.relative_to(run).as_posix()] = hashlib.sha256(content.encode()).hexdigest()
    return results


def _checksum(path: Path) -> str:
    """Of a file's bytes; of a Keras model's weights, because the rest names dates and places in memory."""
    if path.suffix != ".keras":
        return sha256(path)
    with zipfile.ZipFile(path) as archive:
        return str(archive.getinfo("model.weights.h5").CRC)


def plain(lines: Collection[str], base: Path) -> list[str]:
    """Lines without what differs from call to call: the folder, ages, times, widths of tables."""
    text = "\n".join(lines).replace(str(base.resolve()), "").replace(str(base), "")
    text = re.sub(r"\d+(\.\d+)? (s|min|h|days?) (ago|left)", "some time", text)
    text = re.sub(r"\d+ images/s|damaged-\d+", "some", text)
    text = re.sub(r"faces-[0-9a-f]{8}\.npz", CACHE, text)
    return [re.sub(r"[\s━─┏┓┡┩└┘┳┴╇┼]+", " ", line) for line in text.split("\n")]


def judge(
    case: Case, base: Path, outcome: Outcome, before: Snapshot, undamaged: tuple[Outcome, Results]
) -> Verdict:
    """Hold a call to all promises; `undamaged` is what the call gives where nothing is damaged."""
    after = snapshot(base)
    findings = [*_endings(outcome), *_changes(case, before, after)]
    if outcome.broken:
        return Verdict("killed", (*findings, outcome.broken))
    findings += [*_leftovers(before, after), *_wholeness(case, base, before, after)]
    if outcome.status == 0:
        ending, silent = _compared(case, base, outcome, undamaged)
        findings += silent
    else:
        ending = {75: "stopped"}.get(outcome.status or 0, "refused")
    return Verdict(ending, tuple(findings))


def _endings(outcome: Outcome) -> Iterator[str]:
    """The exit status, and what is said for it."""
    said = f"{outcome.output}\n{outcome.complaint}"
    if outcome.broken:
        return
    if "Traceback (most recent call last)" in said:
        yield f"traceback: {_innermost(said)}"
    elif outcome.status not in EXIT_STATUSES:
        yield f"exit status {outcome.status}"
    elif outcome.status == 1:
        complaint = outcome.complaint.strip().splitlines()
        if not complaint or not complaint[-1].startswith("fkd: "):
            yield f"not one line: {complaint[-1][:80] if complaint else 'no word'}"
    elif outcome.status == MISUSED and not re.search("Usage|Error", said):
        yield "not one line: no usage"


def _innermost(said: str) -> str:
    """The last error and the last line of fkd that it went through."""
    places = re.findall(r'File "[^"]*/(fkd/[^"]+)", line (\d+)', said)
    errors = re.findall(r"(?m)^([A-Za-z_.]*(?:Error|Exception|Warning|Exit|Interrupt)\b.*)$", said)
    return f"{errors[-1][:120] if errors else 'unknown'} at {':'.join(places[-1]) if places else 'outside'}"


def _changes(case: Case, before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Nothing changed that is not the call's to write, and nothing lost that it may."""
    kept = set(after.values())
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) == after.get(path):
            continue
        inside = path.removeprefix(f"{WORK}/")
        own = inside != path and _may_write(case, inside)
        if not own and not _LIBRARIES.fullmatch(path):
            what = "written" if path not in before else "removed" if path not in after else "changed"
            yield f"outside: {what}: {path}"
        elif path not in after and before[path] not in kept and not _LEFTOVER.search(path):
            yield f"lost: {path}"


def _may_write(case: Case, path: str) -> bool:
    fresh = "--fresh" in case.words
    return bool(
        re.fullmatch(case.call.writes, path)
        or _CACHE.fullmatch(path)
        or (fresh and _RUN_MOVED_ASIDE.fullmatch(path))
        or any(target in (".", path) or path.startswith(f"{target}/") for target in case.targets)
        or any(target.startswith(f"{path}/") for target in case.targets)  # a folder on the way there
    )


def _leftovers(before: Snapshot, after: Snapshot) -> Iterator[str]:
    for path in sorted(after.keys() - before.keys()):
        if _LEFTOVER.search(path):
            yield f"leftover: {re.sub('[0-9a-f]{8}', 'x', path)}"


def _wholeness(case: Case, base: Path, before: Snapshot, after: Snapshot) -> Iterator[str]:
    """What is written is whole, and does not say less than what it replaces where the call failed."""
    known = set(before.values())
    for path, what in sorted(after.items()):
        if what in known or not (base / path).is_file() or (base / path).is_symlink():
            continue
        try:
            rows = _rows(base / path)
        except Exception as error:  # damaged files raise nearly every kind there is
            yield f"not whole: {path}: {type(error).__name__}: {error}"
            continue
        may_be_empty = Path(path).name == "far_labels.csv" or path.removeprefix(f"{WORK}/") in case.victims
        if rows == 0 and path in before and not may_be_empty:
            yield f"lost: {path}: nothing instead of what was there"
    written = after.get(f"{WORK}/photo-points/points.json")
    # Where the run is damaged too, its refusal loses nothing.
    photos_alone = bool(case.victims) and all(victim.startswith("photos/") for victim in case.victims)
    if case.call.verb == "predict" and photos_alone:
        if written == before.get(f"{WORK}/photo-points/points.json"):
            yield "lost: the points of the other photos"
        else:
            points = json.loads((base / WORK / "photo-points/points.json").read_text())
            if len(points["photos"]) + len(points["unreadable"]) != len(PHOTOS):
                yield "lost: points.json does not name every photo"


def _rows(path: Path) -> int | None:
    """How many rows a written file has, None where it has none; raises nearly anything if it is not whole."""
    content = path.read_bytes()
    match path.suffix:
        case ".json":
            tree = json.loads(content)
            return len(tree["photos"]) if "photos" in tree else len(tree)
        case ".csv":
            return _csv_rows(content.decode())
        case ".yaml":
            assert isinstance(yaml.safe_load(content), dict), "no settings"
        case ".html":
            assert content.rstrip().endswith(b"</html>"), "no end"
        case ".png" | ".jpg":
            with Image.open(path) as picture:
                picture.load()
        case ".npy":
            np.load(io.BytesIO(content), allow_pickle=False)
        case ".npz":
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                return len([file[name] for name in file.files])
        case ".h5":
            with h5py.File(path) as file:
                assert len(file), "no groups"
        case ".keras":
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None, "damaged"
    return None


def _csv_rows(text: str) -> int:
    assert text.endswith("\n"), "no end of line"
    header, *rows = csv.reader(io.StringIO(text))
    assert all(len(row) == len(header) for row in rows), "lines of different lengths"
    return len(rows)


def _compared(
    case: Case, base: Path, outcome: Outcome, undamaged: tuple[Outcome, Results]
) -> tuple[str, list[str]]:
    """How a call ended that refused nothing: with the undamaged results, or with a word on the damage."""
    if undamaged[0].status != 0:
        return "accepted", []
    former = set(plain(undamaged[0].lines, base))
    new = [line for line in plain(outcome.lines, base) if line not in former]
    named = any(name in line for line in new for name in _names(case)) or _named_on_page(case, base)
    if case.absurd and not named:
        return "silent", [f"silent: {case.damage} accepted"]
    if not case.derived:
        return "warned" if named else "accepted", []
    expected, received = undamaged[1], results_of(case.call, base, outcome)
    different = [name for name in sorted(expected) if expected[name] != received.get(name)]
    if case.call.trains:  # the state of a finished member is not needed any more
        ends = tuple(victim.partition("-faces/")[2] for victim in case.victims)
        different = [name for name in different if not (name.endswith("state.npz") and name.startswith(ends))]
    if not different:
        return "unchanged", []
    if case.vanished and case.call.verb in ("status", "report"):
        return "accepted", []
    if not case.call.results and not case.call.trains and _only_numbers_differ(expected, received):
        return "silent", ["silent: other numbers are shown"]
    if named:
        return "warned", []
    return "silent", [f"silent: other results: {', '.join(different)}"]


def _only_numbers_differ(expected: Results, received: Results) -> bool:
    return re.sub(r"[\d.]+|nan", "", expected["said"]) == re.sub(r"[\d.]+|nan", "", received["said"])


def _names(case: Case) -> set[str]:
    """Any of which names what is damaged: the file, the member, the specialist."""
    names = {CACHE if victim.startswith("data/cache/") else Path(victim).name for victim in case.victims}
    for victim in case.victims:
        if member := re.search(r"-faces/(\w+/\d\d)(/|$)", victim):
            names.add(member[1])
    return names


def _named_on_page(case: Case, base: Path) -> bool:
    """Whether a report says what is damaged."""
    pages = [base / WORK / name for name in case.call.results if name.endswith(".html")]
    damage = rf"({'|'.join(map(re.escape, _names(case)))})[^<]{{0,200}}(damaged|missing|expected)"
    return any(page.is_file() and re.search(damage, page.read_text()) for page in pages)
