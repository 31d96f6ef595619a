import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fkd.experiment.store import MemberFolder, Run
from fkd.runs.locks import Holder, lock_holder, member_lock, members_in_training

HOLD = """
import sys, time
from pathlib import Path
from fkd.runs.locks import member_lock
from fkd.experiment.store import MemberFolder
with member_lock(MemberFolder(Path(sys.argv[1]))) as held:
    print(held, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> MemberFolder:
    return MemberFolder(tmp_path / "four" / "00")


def test_a_lock_is_held_by_one_and_given_back(folder: MemberFolder):
    with member_lock(folder) as held, member_lock(folder) as held_again:
        assert (held, held_again) == (True, False)
        assert lock_holder(folder) == Holder(socket.gethostname(), os.getpid())
    with member_lock(folder) as held:
        assert held
    assert lock_holder(folder) is None


def test_the_lock_of_a_killed_process_is_taken_over(folder: MemberFolder):
    process = subprocess.Popen([sys.executable, "-c", HOLD, folder.path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as output:
        assert output.readline() == "True\n"
    with member_lock(folder) as held:
        assert not held
    assert lock_holder(folder) == Holder(socket.gethostname(), process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert lock_holder(folder) is None, "its holder is dead"
    with member_lock(folder) as held:
        assert held


def test_of_another_host_nothing_is_known():
    assert Holder("elsewhere", 1).may_be_alive


def test_a_lock_file_without_a_holder_yet(folder: MemberFolder):
    folder.path.mkdir(parents=True)
    folder.lock.touch()
    assert lock_holder(folder) is None


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"one", b"here -1", b"here 0", b"here 99999999999999999999", b"a b c", b"\0" * 5000],
)
def test_a_lock_file_that_no_holder_wrote(folder: MemberFolder, content: bytes):
    folder.path.mkdir(parents=True)
    folder.lock.write_bytes(content.replace(b"here", socket.gethostname().encode()))
    assert lock_holder(folder) is None
    with member_lock(folder) as held:
        assert held


def test_a_lock_that_is_no_file_is_not_waited_for(folder: MemberFolder):
    folder.path.mkdir(parents=True)
    os.mkfifo(folder.lock)
    assert lock_holder(folder) is None


def test_members_in_training(folder: MemberFolder):
    run = Run(folder.path.parent.parent)
    with member_lock(folder):
        assert members_in_training(run) == ["four/00"]
    assert members_in_training(run) == []
