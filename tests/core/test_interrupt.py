import os
import signal
import subprocess
import sys

import pytest

from fkd.core.interrupt import EXIT_INTERRUPTED, StopRequest, stop_on_signals


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
