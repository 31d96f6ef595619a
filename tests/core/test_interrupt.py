import os
import signal
import subprocess
import sys

import pytest

from fkd.core.interrupt import EXIT_INTERRUPTED, EXIT_SIGINT, StopRequest, stop_on_signals


def test_the_exit_status_is_documented_and_its_own():
    assert EXIT_INTERRUPTED == 75


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_raises_the_flag_and_nothing_else(number: signal.Signals):
    with stop_on_signals() as stop:
        assert stop.reason is None
        os.kill(os.getpid(), number)
        assert stop.reason == number.name


def test_the_former_handlers_come_back():
    former = signal.getsignal(signal.SIGTERM)
    with stop_on_signals():
        assert signal.getsignal(signal.SIGTERM) is not former
    assert signal.getsignal(signal.SIGTERM) is former


def test_the_first_reason_stays():
    stop = StopRequest()
    stop.stop("SIGTERM")
    stop.stop("SIGINT")
    assert stop.reason == "SIGTERM"


def test_a_second_sigint_ends_the_process_at_once():
    code = (
        "import os, signal, time\n"
        "from fkd.core.interrupt import stop_on_signals\n"
        "with stop_on_signals() as stop:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print(stop.reason, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == "SIGINT\n"
    assert done.returncode == -signal.SIGINT


def _interrupted(lines: str) -> subprocess.CompletedProcess[str]:
    """What becomes of a process that signals itself and is then busy for a minute."""
    code = f"import os, signal, time\nfrom fkd.core.interrupt import *\n{lines}\n"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False
    )


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_that_nobody_hears_ends_the_process(name: str):
    done = _interrupted(
        "with stop_on_signals(heard_within_s=0.1) as stop:\n"
        f"    os.kill(os.getpid(), signal.{name})\n"
        "    time.sleep(60)"
    )
    assert done.returncode == EXIT_INTERRUPTED
    assert done.stderr.startswith(f"fkd: {name}: ended amid something long; what was saved is whole")


def test_who_hears_may_take_the_time_to_save():
    done = _interrupted(
        "with stop_on_signals(heard_within_s=0.1) as stop:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    reason = stop.reason\n"
        "    time.sleep(1)\n"
        "    print(reason)"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("SIGTERM\n", "", 0)


def test_a_member_with_unsaved_batches_is_given_longer():
    done = _interrupted(
        "with stop_on_signals(heard_within_s=0.1) as stop:\n"
        "    stop.unsaved.add('four/00')\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(1)\n"
        "    print('saved', flush=True)\n"
        "    stop.unsaved.discard('four/00')\n"
        "    time.sleep(60)"
    )
    assert (done.stdout, done.returncode) == ("saved\n", EXIT_INTERRUPTED)


def test_sigint_ends_with_one_line_though_its_exception_is_caught():
    done = _interrupted(
        "end_on_sigint()\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    print('lost')"
    )
    assert (done.stdout, done.returncode) == ("", EXIT_SIGINT)
    assert done.stderr == "fkd: SIGINT: ended; what was saved is whole\n"
