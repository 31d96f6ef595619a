"""What disks, mirrors and colleagues do to a file or a folder: one random damage, named in words."""

import random
from collections.abc import Sequence
from pathlib import Path

from fuzzing.of_archives import another_array, another_picture, another_zip, inside_zip
from fuzzing.of_bytes import BYTES, THINGS, Damage, swapped
from fuzzing.of_text import JSON, TABLE, TEXT, YAML, absurd_label, key_twice

ZIP: tuple[Damage, ...] = (another_zip, *map(inside_zip, (*TEXT, *TABLE)))
BY_SUFFIX: dict[str, tuple[tuple[Damage, ...], ...]] = {
    ".json": (JSON, TEXT),
    ".yaml": (YAML, TEXT),
    ".csv": (TABLE, TEXT),
    ".txt": (TEXT,),
    ".md": (TEXT,),
    ".zip": (ZIP, ZIP),
    ".npy": ((another_array,),),
    ".npz": ((another_array,),),
    **dict.fromkeys((".png", ".jpg", ".webp"), ((another_picture,),)),
}
SWAPPED_PROBABILITY = 0.1
ATTEMPTS = 50


def damage(rng: random.Random, path: Path, others: Sequence[Path]) -> str:
    """Damage a file or folder in one way, `others` being what it may be swapped with; says how."""
    for _ in range(ATTEMPTS):
        kinds = (THINGS,) if path.is_dir() else (BYTES, BYTES, BYTES, THINGS, *BY_SUFFIX.get(path.suffix, ()))
        swap = rng.random() < SWAPPED_PROBABILITY
        did = swapped(rng, path, others) if swap else rng.choice(rng.choice(kinds))(rng, path)
        if did:
            return did
    raise AssertionError(f"{path}: no damage can be done to it")


def absurdity(rng: random.Random, path: Path) -> str | None:
    """Write what is to be refused or named: a label that no face can have, a key given twice; says which."""
    if path.stem == "training":
        return inside_zip(absurd_label)(rng, path)
    return key_twice(rng, path) if path.suffix == ".yaml" else None
