"""What a run was made of: code, packages, machine and data."""

import os
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
        "processor": processor(),
        "cores": str(os.cpu_count()),
        **versions,
        "data": data.name,
        "data_checksum": data.checksum,
    }


def processor() -> str:
    """The processor's name as Linux tells it, else as Python does."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


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
