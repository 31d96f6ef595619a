"""What is damaged, and the calls of fkd that read it: data, photos, a finished and a half-finished run.

BASE/outer/inner/work/     where fkd is called
  faces/                   drawn faces; training.csv in a zip
  tiny.yaml, half.yaml, new.yaml       experiments; the latter two change the first
  photos/, comparison/
  models_store/tiny-faces/ trained to its end, chosen and submitted
  models_store/half-faces/ stopped in its third member
  photo-points/            what an earlier call of predict has written
BASE/home, BASE/tmp        not fkd's to write
"""

import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
from tiny_experiment import TINY_EXPERIMENT
from whole_photos import photo_with_faces

from fkd.data.cache import cache_path
from fkd.data.synthetic.data_set import write_synthetic
from fuzzing.watched import Outcome, watched_fkd

WORK = Path("outer/inner/work")
FINISHED, HALF = "models_store/tiny-faces", "models_store/half-faces"
DERIVED = ("models_store", "data", "photo-points")
TINY, HALVED = ("tiny.yaml", "--data", "faces"), ("half.yaml", "--data", "faces")
PHOTOS = ("photos/one.png", "photos/two.jpg", "photos/three.webp")
# After two members of three epochs each, and five batches of the third.
BATCHES_OF_HALF = 20

_TINY_RUN = (f"{FINISHED}/*", f"{FINISHED}/*/*", f"{FINISHED}/*/*/*", f"{FINISHED}/*/*/*")
_HALF_RUN = (f"{HALF}/*", f"{HALF}/*/*", f"{HALF}/*/*/*", f"{HALF}/*/*/*")
_DATA = ("faces/*",)
_CACHE = ("data/cache/*",)
_COMPARISON = """
tables:
  - title: Two
    data: faces
    measures: [rmse_px, mae_px, loss]
    rows:
      - {system: best, experiment: tiny.yaml}
      - {system: all, experiment: tiny.yaml, members: all}
      - {system: not trained, experiment: half.yaml}
"""
_MARKS = "\n".join(
    f"<!-- {end}: written by fkd compare --file comparison.yaml -->" for end in ("begin", "end")
)


@dataclass(frozen=True)
class Call:
    """A call of a verb.

    weight: how often it is drawn. reads: globs of what it reads. writes: regular expression of what it may
    write, below the working folder. results: globs of files that are its result; none where that is what it
    prints. trains: it is stopped where the request is another one, and so may take for ever.
    """

    words: tuple[str, ...]
    weight: int
    reads: tuple[str, ...]
    writes: str = "(?!)"
    results: tuple[str, ...] = ()
    trains: bool = False

    @property
    def verb(self) -> str:
        return self.words[0]

    def __str__(self) -> str:
        return f"fkd {' '.join(map(ascii_word, self.words))}"


def ascii_word(word: str) -> str:
    """A word of a call, as a shell could be given it, not longer than a line."""
    text = word if re.fullmatch(r"[\w./=:-]+", word, re.ASCII) else ascii(word)
    return text if len(text) < 120 else f"{text[:100]}...({len(word)} characters)"


_ANOTHER_RUN = r"models_store/(?!tiny-faces|half-faces)[^/]+-faces(/.*)?"
_CHOSEN = r"(selection\.json|radii\.json|experiment\.yaml|far_labels\.csv)"
_SUBMITTED = rf"({_CHOSEN}|submission.*\.(csv|json)|predictions\.png|report\.html)"
_TABLES = ("selection.json", "radii.json", "far_labels.csv")

CALLS = (
    Call(("status",), 14, ("models_store/*", *_TINY_RUN, *_HALF_RUN)),
    Call(("status", *HALVED), 6, (*_HALF_RUN, "half.yaml", "tiny.yaml")),
    Call(("data", "--data", "faces"), 14, (*_DATA, *_CACHE)),
    Call(
        ("select", *TINY),
        16,
        (*_TINY_RUN, *_CACHE, *_DATA, "tiny.yaml"),
        f"{FINISHED}/{_CHOSEN}",
        tuple(f"{FINISHED}/{name}" for name in _TABLES),
    ),
    Call(("select", *HALVED), 4, _HALF_RUN, f"{HALF}/{_CHOSEN}", tuple(f"{HALF}/{name}" for name in _TABLES)),
    Call(
        ("submit", *TINY),
        1,
        (*_TINY_RUN, *_DATA),
        f"{FINISHED}/{_SUBMITTED}",
        tuple(f"{FINISHED}/{name}" for name in (*_TABLES, "submission.csv", "predictions.png")),
    ),
    Call(
        ("report", *TINY), 1, (*_TINY_RUN, *_DATA), rf"{FINISHED}/report\.html", (f"{FINISHED}/report.html",)
    ),
    Call(("report", *HALVED), 1, _HALF_RUN, rf"{HALF}/report\.html", (f"{HALF}/report.html",)),
    Call(
        ("train", *TINY),
        6,
        (*_TINY_RUN, *_DATA, "tiny.yaml"),
        rf"{FINISHED}(/.*)?|{_ANOTHER_RUN}",
        trains=True,
    ),
    Call(
        ("train", *HALVED),
        6,
        (*_HALF_RUN, "half.yaml", "tiny.yaml"),
        rf"{HALF}(/.*)?|{_ANOTHER_RUN}",
        trains=True,
    ),
    Call(
        ("train", "new.yaml", "--data", "faces"),
        6,
        ("new.yaml", "tiny.yaml", *_DATA),
        _ANOTHER_RUN,
        trains=True,
    ),
    Call(
        ("predict", *PHOTOS, "--run", "tiny-faces"),
        16,
        ("photos/*", "photos/*", "photo-points/*", *_TINY_RUN),
        r"photo-points(/.*)?",
        ("photo-points/*",),
    ),
    Call(
        ("score", f"{FINISHED}/submission.csv", "faces/solution.csv"),
        8,
        (f"{FINISHED}/submission.csv", "faces/solution.csv", "faces/IdLookupTable.csv"),
    ),
    Call(
        ("explore", "--data", "faces"), 3, (*_DATA, *_CACHE), r"explore-faces\.html", ("explore-faces.html",)
    ),
    Call(
        ("export", *TINY, "--to", "model"),
        4,
        _TINY_RUN,
        rf"model(/.*)?|{FINISHED}/{_CHOSEN}",
        ("model/*.keras", *(f"{FINISHED}/{name}" for name in _TABLES)),
    ),
    Call(
        ("compare", "--file", "comparison/comparison.yaml", "--store", "models_store"),
        4,
        (*_TINY_RUN, "comparison/*", "comparison/*", *_DATA),
        r"comparison/comparison\.(csv|md)",
        ("comparison/*.csv", "comparison/*.md"),
    ),
)


def prepare(base: Path) -> None:
    """Make all of it; AssertionError where a call does not do what it should."""
    work = base / WORK
    work.mkdir(parents=True)
    for name in ("home", "tmp"):
        (base / name).mkdir()
    write_synthetic(work / "faces", seed=1, training_faces=30, test_faces=6)
    with zipfile.ZipFile(work / "faces/test.zip") as archive:
        archive.extractall(work / "faces")
    (work / "faces/test.zip").unlink()
    (work / "tiny.yaml").write_text(TINY_EXPERIMENT)
    (work / "half.yaml").write_text("base: tiny\ntraining: {checkpoint_seconds: 0.0}\n")
    (work / "new.yaml").write_text("base: tiny\ntraining:\n  max_epochs: 1\n  checkpoint_seconds: 5\n")
    (work / "photos").mkdir()
    for path, places in zip(PHOTOS, ([(60, 40, 120)], [(10, 30, 110), (160, 50, 120)], []), strict=True):
        photo = photo_with_faces((200, 300), places, list(range(len(places))))
        assert cv2.imwrite(str(work / path), photo)
    (work / "comparison").mkdir()
    (work / "comparison/comparison.yaml").write_text(_COMPARISON)
    (work / "comparison/comparison.md").write_text(f"# Comparison\n\n{_MARKS}\n\nThe end\n")
    _train(base)


def _train(base: Path) -> None:
    _expect(0, "train", *TINY, base=base)
    _expect(75, "train", *HALVED, base=base, stop_after_batches=BATCHES_OF_HALF)
    _expect(0, "submit", *TINY, base=base)
    _expect(0, "predict", PHOTOS[0], base=base)
    _expect(0, "compare", "--file", "comparison/comparison.yaml", "--store", "models_store", base=base)
    shutil.rmtree(base / "tmp")  # where TensorFlow writes the code that it makes
    (base / "tmp").mkdir()
    for run in (FINISHED, HALF):  # the page takes longer to copy than all the rest
        (base / WORK / run / "report.html").write_text("<html>the former report</html>\n")


def _expect(status: int, *words: str, base: Path, stop_after_batches: int | None = None) -> None:
    outcome = call_fkd(words, base, stop_after_batches=stop_after_batches)
    assert outcome.status == status, f"{words}: {outcome}"


def call_fkd(
    words: tuple[str, ...],
    base: Path,
    stop_after_s: float | None = None,
    stop_after_batches: int | None = None,
) -> Outcome:
    """Call fkd in a prepared folder, with its own home."""
    return watched_fkd(
        words,
        base / WORK,
        environment(base),
        stop_after_s=stop_after_s,
        stop_after_batches=stop_after_batches,
    )


def environment(base: Path) -> Mapping[str, str]:
    """This one's, without what leads fkd out of the folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KAGGLE_", "XDG_"))}
    return kept | {"HOME": str(base / "home"), "TMPDIR": str(base / "tmp")}


def copy(prepared: Path, base: Path) -> Path:
    """Copy the prepared folder with its times of change and the cache's name; returns the working folder."""
    shutil.copytree(prepared, base)
    work = base / WORK
    faces, caches = Path("faces"), work / "data/cache"
    [cache] = caches.glob("*.npz")
    cache.rename(cache_path("faces", work / faces, caches))
    return work
