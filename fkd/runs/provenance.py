"""What a run was made of: code, packages, machine and data."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import fkd
from fkd.data.faces import FaceData

_PACKAGES = ("keras", "keras-hub", "tensorflow", "jax", "numpy", "opencv-python-headless")


def provenance(data: FaceData) -> dict[str, str]:
    """Versions of code and packages, the machine, and the data's name and checksum."""
    versions = {name: found for name in _PACKAGES if (found := _version(name))}
    return {
        "fkd": fkd.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        **versions,
        "data": data.name,
        "data_checksum": data.checksum,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str:
    """The checkout's commit, with a + where files differ from it; `unknown` outside a checkout."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()
