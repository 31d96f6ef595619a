"""The embedded data set: drawn faces in the competition's exact files, for anyone without data.

Like the competition's, the set has two sources: A, fully labelled, and B, with looser framing, more blur and
noise, and only four labelled points. Every face is a function of (seed, identity, index).
"""

import multiprocessing
import os
import shutil
import zipfile
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from fkd.core.errors import UserError
from fkd.core.keypoints import CENTRE_PX, IMAGE_SIZE_PX, KAGGLE15
from fkd.core.say import Say, TimeLeft
from fkd.data.synthetic.face_drawing import draw_face
from fkd.data.synthetic.face_model import Identity, Scene

FULLY_LABELLED_FRACTION = 1 / 3
IMAGES_PER_IDENTITY = {1: 0.7, 2: 0.15, 3: 0.1, 4: 0.05}  # count: probability
FACES_PER_TASK = 50
SERIAL_TASKS = 4  # up to here drawing takes less time than starting processes
GREY_TEXT = [str(value) for value in range(256)]  # twice as fast as calling str for every pixel
# The first of a random generator's keys, so that identities, scenes and plans never share numbers.
IDENTITY_KEY, SCENE_KEY, PLAN_KEY = range(3)

# One face of the set: whose it is, the number of the picture, whether source B took it.
PLAN = np.dtype([("identity", np.int64), ("index", np.int64), ("loose", np.bool_)])
Plan = npt.NDArray[np.void]


def write_synthetic(
    folder: Path, seed: int = 0, training_faces: int = 1800, test_faces: int = 700, say: Say = print
) -> None:
    """Write the competition's files, groups.csv and solution.csv into a new folder, all of them or nothing.

    The files are written beside the folder and moved there at the end. Raises UserError when the folder holds
    something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError(
            f"{folder}: expected a new or empty folder, received one that holds files; choose another"
        )
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    unfinished.mkdir(parents=True)
    try:
        _write_files(unfinished, seed, training_faces, test_faces, say)
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def draw_synthetic_faces(
    seed: int, identities: Collection[int], indices: Collection[int], loose: Collection[bool]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Faces as uint8 (faces, 96, 96) and all their points as float32 pixels (faces, 15, 2).

    `identities` numbers the persons, `indices` the pictures; `loose` chooses source B.
    """
    images = np.empty((len(indices), IMAGE_SIZE_PX, IMAGE_SIZE_PX), np.uint8)
    keypoints = np.empty((len(indices), len(KAGGLE15.names), 2), np.float32)
    for face, (person, index, is_loose) in enumerate(zip(identities, indices, loose, strict=True)):
        identity = random_identity(np.random.default_rng([IDENTITY_KEY, seed, person]))
        rng = np.random.default_rng([SCENE_KEY, seed, index])
        images[face], keypoints[face] = draw_face(identity, random_scene(rng, bool(is_loose)), rng)
    return images, keypoints


def random_identity(rng: np.random.Generator) -> Identity:
    """A person drawn at random."""

    def about(mean: float, spread: float) -> float:
        return mean + spread * min(max(rng.standard_normal(), -2), 2)

    skin = rng.uniform(90, 225)
    bearded, grey = rng.random() < 0.25, rng.random() < 0.2
    return Identity(
        half_width=about(2.25, 0.1),
        jaw_taper=about(0.27, 0.08),
        eye_spacing=about(1.0, 0.06),
        eye_half_width=about(0.4, 0.03),
        eye_height=about(0.19, 0.03),
        eye_tilt=about(0.03, 0.03),
        brow_height=about(0.52, 0.08),
        brow_arch=about(0.12, 0.05),
        brow_thickness=about(0.1, 0.035),
        nose_length=about(1.02, 0.1),
        nose_height=about(0.95, 0.12),
        nose_width=about(0.34, 0.05),
        mouth_height=about(2.05, 0.12),
        mouth_half_width=about(0.8, 0.07),
        lip_thickness=about(0.24, 0.06),
        skin=skin,
        lips=skin * rng.uniform(0.6, 0.88),
        iris=rng.uniform(20, 120),
        hair=rng.uniform(130, 230) if grey else rng.uniform(10, 110),
        hairline=float(rng.choice([about(-1.65, 0.25), about(-1.0, 0.12), -3.4], p=[0.7, 0.22, 0.08])),
        hair_volume=rng.uniform(0.05, 0.45),
        long_hair=not bearded and rng.random() < 0.4,
        beard=rng.uniform(0.3, 1.4) if bearded else 0.0,
        moustache=rng.uniform(0.5, 1.0) if bearded and rng.random() < 0.7 else 0.0,
        wrinkles=rng.beta(1.3, 3),
        glasses=str(rng.choice(["none", "wire", "thick", "dark"], p=[0.8, 0.09, 0.08, 0.03])),
    )


def random_scene(rng: np.random.Generator, loose: bool) -> Scene:
    """Pose, expression, light, framing and camera of one picture; `loose` gives the manner of source B."""

    def about(mean: float, spread: float) -> float:
        return mean + spread * min(max(rng.standard_normal(), -2.2), 2.2)

    looseness = 1.15 if loose else 1.0
    return Scene(
        yaw=about(0, 0.23),
        pitch=about(0, 0.13),
        roll=about(0, 0.12),
        smile=max(0.0, rng.uniform(-0.6, 1)),
        mouth_open=max(0.0, rng.uniform(-0.6, 0.5)),
        eye_opening=rng.uniform(0, 0.5) if rng.random() < 0.1 else about(1, 0.13),
        brow_raise=about(0.03, 0.07),
        frown=max(0.0, about(0, 0.07)),
        gaze=(about(0, 0.06), about(0, 0.02)),
        light=(about(0, 0.6), about(-0.35, 0.35), 0.8),
        ambient=rng.uniform(0.25, 0.75),
        centre_px=(about(CENTRE_PX, 2.0 * looseness), about(55.0, 2.0 * looseness)),
        size_px=about(66 if loose else 71, 3.5 * looseness),
        background=(rng.uniform(0, 255), rng.uniform(0, 255)),
        clutter=int(rng.integers(0, 9)),
        occluder=str(rng.choice(["none", "hand", "object", "hair"], p=[0.84, 0.05, 0.04, 0.07])),
        blur_px=rng.uniform(0.5, 1.4) if loose else rng.uniform(0, 0.6),
        noise=rng.uniform(1, 6) if loose else rng.uniform(0, 3),
        contrast=rng.uniform(0.7, 1.35),
        brightness=about(0, 18),
    )


def _write_files(folder: Path, seed: int, training_faces: int, test_faces: int, say: Say) -> None:
    rng = np.random.default_rng([PLAN_KEY, seed])
    training = _plan(rng, training_faces, first=0)
    training = training[np.argsort(training["loose"], kind="stable")]  # source A first, as in the competition
    # No person has fewer than one picture: numbers from here on are free for the persons of the test set.
    test = _plan(rng, test_faces, first=training_faces)
    pictures, keypoints = _draw_in_parallel(seed, np.concatenate([training, test]), say)

    rows = [_labels(*face) for face in zip(keypoints[:training_faces], training["loose"], strict=True)]
    rows = [[*row, picture] for row, picture in zip(rows, pictures[:training_faces], strict=True)]
    _write_zipped(folder / "training.zip", [[*KAGGLE15.columns, "Image"], *rows])
    numbered = enumerate(pictures[training_faces:], start=1)
    _write_zipped(
        folder / "test.zip", [["ImageId", "Image"], *([str(number), text] for number, text in numbered)]
    )
    groups = pd.DataFrame({"row": np.arange(training_faces), "group": training["identity"]})
    groups.to_csv(folder / "groups.csv", index=False)
    usage = np.where(rng.permutation(test_faces) % 2, "Private", "Public")
    _write_lookups(folder, keypoints[training_faces:], test["loose"], usage)


def _plan(rng: np.random.Generator, faces: int, first: int) -> Plan:
    """Who is in which picture: a third from source A, some persons in several pictures."""
    times = rng.choice(list(IMAGES_PER_IDENTITY), size=faces, p=list(IMAGES_PER_IDENTITY.values()))
    plan = np.empty(faces, PLAN)
    plan["identity"] = first + rng.permutation(np.repeat(np.arange(faces), times)[:faces])
    plan["index"] = first + np.arange(faces)
    plan["loose"] = rng.permutation(faces) >= round(faces * FULLY_LABELLED_FRACTION)
    return plan


def _draw_in_parallel(seed: int, plan: Plan, say: Say) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Every picture as the competition's text, and the points of all, shape (faces, 15, 2)."""
    tasks = [plan[start : start + FACES_PER_TASK] for start in range(0, len(plan), FACES_PER_TASK)]
    draw = partial(_draw_as_text, seed)
    if len(tasks) <= SERIAL_TASKS:
        results = list(map(draw, tasks))
    else:
        # A forked child would inherit TensorFlow's threads and locks where it is loaded.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(os.cpu_count(), context, cv2.setNumThreads, (1,)) as pool:
            tell = TimeLeft(len(plan), lambda done: f"{done:,} of {len(plan):,} faces are drawn", say)
            results = []
            for result in pool.map(draw, tasks):
                results.append(result)
                tell(min(FACES_PER_TASK * len(results), len(plan)))
    return [text for texts, _ in results for text in texts], np.concatenate([points for _, points in results])


def _draw_as_text(seed: int, plan: Plan) -> tuple[list[str], npt.NDArray[np.float32]]:
    images, keypoints = draw_synthetic_faces(seed, plan["identity"], plan["index"], plan["loose"])
    return [" ".join(map(GREY_TEXT.__getitem__, image.tobytes())) for image in images], keypoints


def _labels(keypoints: npt.NDArray[np.float32], loose: bool) -> list[str]:
    """The 30 coordinates of a training row as text, empty where source B has no label."""
    labels = np.full(len(KAGGLE15.columns), "", dtype=object)
    asked = _asked_columns(loose)
    labels[asked] = [f"{value:.4f}" for value in keypoints.ravel()[asked]]
    return labels.tolist()


def _asked_columns(loose: bool) -> npt.NDArray[np.intp]:
    points = KAGGLE15.indices("four" if loose else "all")
    return np.stack([2 * points, 2 * points + 1], axis=-1).ravel()


def _write_zipped(path: Path, rows: list[list[str]]) -> None:
    """A zip that holds one CSV of the same name, byte for byte the same for the same rows."""
    entry = zipfile.ZipInfo(f"{path.stem}.csv")  # dated 1980 unless told
    entry.external_attr = 0o644 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            entry, "".join(f"{','.join(row)}\n" for row in rows), zipfile.ZIP_DEFLATED, compresslevel=1
        )


def _write_lookups(
    folder: Path,
    keypoints: npt.NDArray[np.float32],
    loose: npt.NDArray[np.bool_],
    usage: npt.NDArray[np.str_],
) -> None:
    """The values asked for, the sample submission and the hidden solution."""
    asked = [_asked_columns(is_loose) for is_loose in loose]
    image = np.repeat(np.arange(len(asked)), [len(columns) for columns in asked])
    column = np.concatenate(asked)
    values = pd.DataFrame({"RowId": 1 + np.arange(len(image)), "ImageId": 1 + image})
    values["FeatureName"] = np.array(KAGGLE15.columns)[column]
    values.assign(Location="?").to_csv(folder / "IdLookupTable.csv", index=False)
    values[["RowId"]].assign(Location="0.0").to_csv(folder / "SampleSubmission.csv", index=False)
    location = keypoints.reshape(len(asked), -1)[image, column]
    solution = values.assign(Location=location, Usage=usage[image])
    solution.to_csv(folder / "solution.csv", index=False, float_format="%.4f")
