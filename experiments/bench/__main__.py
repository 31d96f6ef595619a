"""`python -m experiments.bench [TOPIC ...]`: run benchmarks, write the measured part of BENCHMARKS.md.

Without topics, all. A topic that is not run keeps its former figures. The status is 1 if a topic failed or
one of its rows misses its target.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from experiments.bench.conditions import REPOSITORY, RESULTS, conditions, data_folder
from experiments.bench.measuring import TOPICS, in_fresh_process, measure_topic
from experiments.bench.notes import load_all, notes, save
from fkd.core.errors import UserError
from fkd.core.files import atomic_write_bytes
from fkd.report.markdown import replace_part

NOTES = REPOSITORY / "experiments/BENCHMARKS.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the topics named; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m experiments.bench")
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=", ".join(TOPICS))
    topics = parser.parse_args(arguments).topics
    if unknown := [topic for topic in topics if topic not in TOPICS]:
        parser.error(f"expected topics of {', '.join(TOPICS)}; received {', '.join(unknown)}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # The child processes' imports and data must not be in this one: a child inherits its peak of memory.
    folder = in_fresh_process(data_folder)
    here_and_now = in_fresh_process(conditions, folder)
    passed = [run(topic, folder, here_and_now) for topic in topics or TOPICS]
    part = notes(load_all(RESULTS, TOPICS))
    atomic_write_bytes(NOTES, replace_part(NOTES, "make bench", part).encode())
    print(f"{part}{NOTES}, {RESULTS}: written")
    return 0 if all(passed) else 1


def run(topic: str, folder: Path, here_and_now: dict[str, str]) -> bool:
    """Measure a topic and keep its figures; False, and reported, if it fails or misses a target."""
    print(f"{topic} ...", flush=True)
    try:
        measured = in_fresh_process(measure_topic, topic, folder, here_and_now)
    except UserError as error:
        print(f"{topic}: {error}", file=sys.stderr)
        return False
    except Exception:
        traceback.print_exc()  # the other topics can still be measured
        print(f"{topic}: failed; its former figures stay", file=sys.stderr)
        return False
    save(measured, RESULTS)
    for row in measured.missed:
        print(f"{topic}: {row.what}: {row.ratio:.3g}x of {row.target:g}x ({row.detail})", file=sys.stderr)
    return not measured.missed


if __name__ == "__main__":
    sys.exit(main())
