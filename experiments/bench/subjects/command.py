"""How long a call of fkd takes to the person at the terminal."""

import subprocess
import sys
from pathlib import Path
from statistics import median

from experiments.bench.rows import seconds

FKD = Path(sys.executable).with_name("fkd")


def fkd_seconds(*arguments: object, repeats: int = 1) -> float:
    """Median seconds of `fkd ARGUMENTS`, Python's start included; raises CalledProcessError if it fails."""
    call = [FKD, *map(str, arguments)]

    def run() -> None:
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL)

    return median(seconds(run) for _ in range(repeats))
