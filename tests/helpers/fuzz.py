"""Damage inputs, run files and arguments at random, call fkd on them, and hold it to its promises.

    python tests/helpers/fuzz.py --cases 300 --seed 1        (make fuzz N=300 SEED=1)
    python tests/helpers/fuzz.py --seed 1 --only 123         (one case again; its folder is kept)

A finished and a half-finished run are made once. A case copies them, does one damage and calls one verb in a
process of its own. It is a function of seed and number. Whatever is damaged:
  - there is no stack trace, and the exit status is 0, 1, 2 or 75;
  - 2 GiB of memory and 60 s are enough; nothing waits for ever; a stop is heard;
  - nothing changes that is not the verb's to write; no temporary file stays;
  - what is written is whole, and nothing is lost;
  - results are those of undamaged files, or fkd refuses, or a line names what is damaged.
The verbs that serve (demo) or need a cluster (tune) are left out.
"""

import argparse
import os
import random
import re
import secrets
import shutil
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from fuzzing.calls import CALLS, DERIVED, WORK, Call, ascii_word, call_fkd, copy, prepare
from fuzzing.damage import absurdity, damage
from fuzzing.promises import Case, Results, Verdict, judge, results_of, snapshot
from fuzzing.watched import Outcome
from fuzzing.words import lay_traps, other_words, targets_of

ARGUMENTS_PROBABILITY = 0.15
ABSURD_PROBABILITY = 0.1
# A training that was asked for in another way may go on for ever: it is stopped.
STOP_AFTER_S = 20.0
SHOWN_LINES = 12


@dataclass(frozen=True)
class Report:
    """What came of a case."""

    number: int
    case: Case
    verdict: Verdict
    outcome: Outcome


@dataclass
class Undamaged:
    """What every call gives where nothing is damaged, found out when it is first asked for."""

    base: Path
    found: dict[Call, tuple[Outcome, Results]] = field(default_factory=dict)
    locks: dict[Call, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def __getitem__(self, call: Call) -> tuple[Outcome, Results]:
        with self.locks[call]:
            if call not in self.found:
                folder = self.base / f"undamaged-{CALLS.index(call)}"
                copy(self.base / "prepared", folder)
                outcome = call_fkd(call.words, folder)
                assert outcome.broken is None, f"{call}: {outcome}"
                self.found[call] = outcome, results_of(call, folder, outcome)
                shutil.rmtree(folder)
        return self.found[call]


def draw(rng: random.Random, work: Path) -> Case:
    """Damage something in the working folder, and draw a call that reads it."""
    [call] = rng.choices(CALLS, [call.weight for call in CALLS])
    if rng.random() < ARGUMENTS_PROBABILITY:
        lay_traps(work)
        words = other_words(rng, call, work)
        return Case(call, words, "other words", targets=targets_of(words))
    victims = sorted(work.glob(rng.choice(call.reads)))
    victim = rng.choice(victims)
    name = victim.relative_to(work).as_posix()
    derived = name.startswith(DERIVED)
    if not derived and rng.random() < ABSURD_PROBABILITY and (did := absurdity(rng, victim)):
        return Case(call, call.words, did, (name,), absurd=True)
    others = [path for path in sorted(victim.parent.parent.rglob("*")) if path.is_dir() == victim.is_dir()]
    was_folder = victim.is_dir()
    did = damage(rng, victim, [path for path in others if path != victim])
    gone = did.startswith(("removed", "renamed", "swapped")) or did.endswith("instead")
    partner = did.partition("swapped with ")[2]
    names = (name, os.path.normpath(victim.parent.relative_to(work) / partner)) if partner else (name,)
    # A link to another folder asks to write there.
    targets = (os.path.relpath(victim.resolve(), work),) if victim.is_symlink() and victim.is_dir() else ()
    return Case(call, call.words, did, names, targets=targets, vanished=was_folder and gone)


def run_case(undamaged: Undamaged, seed: int, number: int) -> Report:
    """One case from its beginning to its end, in a folder of its own."""
    base = undamaged.base / f"case-{number}"
    work = copy(undamaged.base / "prepared", base)
    case = draw(random.Random(f"{seed}/{number}"), work)
    before = snapshot(base)
    may_go_on = case.call.trains and not case.derived
    outcome = call_fkd(case.words, base, STOP_AFTER_S if may_go_on else None)
    return Report(number, case, judge(case, base, outcome, before, undamaged[case.call]), outcome)


def fuzz(
    folder: Path, seed: int, numbers: Iterable[int], at_once: int, tell: Callable[[Report], None]
) -> list[Report]:
    """Prepare, run the cases of these numbers, `at_once` at a time, and tell of each as it ends."""
    prepare(folder / "prepared")
    undamaged, reports = Undamaged(folder), []

    def run(number: int) -> Report:
        report = run_case(undamaged, seed, number)
        tell(report)
        return report

    with ThreadPoolExecutor(at_once) as threads:
        reports += threads.map(run, numbers)
    return reports


def describe(report: Report, seed: int) -> str:
    """A case with findings, and the command that repeats it."""
    case, outcome = report.case, report.outcome
    words = f"fkd {' '.join(map(ascii_word, case.words))}"
    lines = [f"case {report.number}: {', '.join(case.victims) or 'arguments'}: {case.damage}: {words}"]
    lines += [f"  {finding}" for finding in report.verdict.findings]
    lines += [f"  | {line[:200]}" for line in outcome.lines[-SHOWN_LINES:]]
    lines += [f"  again: python tests/helpers/fuzz.py --seed {seed} --only {report.number}"]
    return "\n".join(lines)


def summary(reports: Sequence[Report]) -> str:
    """How the cases ended, by verb."""
    endings = sorted({report.verdict.ending for report in reports})
    lines = [
        "".join([f"{'verb':10}", *(f"{ending:>11}" for ending in endings), f"{'findings':>11}{'seconds':>9}"])
    ]
    for verb in sorted({report.case.call.verb for report in reports}):
        own = [report for report in reports if report.case.call.verb == verb]
        counts = Counter(report.verdict.ending for report in own)
        found = sum(bool(report.verdict.findings) for report in own)
        seconds = sum(report.outcome.seconds for report in own)
        cells = [f"{counts[ending]:>11}" for ending in endings]
        lines.append("".join([f"{verb:10}", *cells, f"{found:>11}{seconds:>9.0f}"]))
    found = sum(bool(report.verdict.findings) for report in reports)
    return "\n".join([*lines, *kinds(reports), f"{len(reports)} cases, {found} with findings"])


def kinds(reports: Sequence[Report]) -> list[str]:
    """The findings that differ in more than numbers, the most frequent first, each with its first cases."""
    cases = defaultdict[str, list[int]](list)
    for report in reports:
        for kind in {re.sub(r"\d+", "0", finding) for finding in report.verdict.findings}:
            cases[f"{report.case.call.verb}: {kind}"].append(report.number)
    ordered = sorted(cases.items(), key=lambda item: -len(item[1]))
    return [
        f"{len(numbers):>4} {kind} (cases {', '.join(map(str, numbers[:3]))})" for kind, numbers in ordered
    ]


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--only", type=int, default=None, help="this case alone; its folder is kept")
    parser.add_argument("--at-once", type=int, default=2)
    arguments = parser.parse_args()
    seed = secrets.randbelow(2**31) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    numbers = range(arguments.first, arguments.first + arguments.cases)
    folder = Path(tempfile.mkdtemp(prefix="fkd-fuzz-"))

    def tell(report: Report) -> None:
        if report.verdict.findings or arguments.only is not None:
            print(describe(report, seed), flush=True)
        if arguments.only is None:
            shutil.rmtree(folder / f"case-{report.number}")

    try:
        only = None if arguments.only is None else [arguments.only]
        reports = fuzz(folder, seed, only or numbers, arguments.at_once, tell)
    finally:
        if arguments.only is None:
            shutil.rmtree(folder)
    print(summary(reports))
    if arguments.only is not None:
        print(f"kept: {folder / f'case-{arguments.only}' / WORK}")
    raise SystemExit(any(report.verdict.findings for report in reports))


if __name__ == "__main__":
    main()
