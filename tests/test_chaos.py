from pathlib import Path

import chaos


def test_twenty_kills_change_nothing(tmp_path: Path):
    tally = chaos.wreak(tmp_path, kills=20, seed=7)
    assert tally.kills == 20
    assert tally.rounds >= 1
