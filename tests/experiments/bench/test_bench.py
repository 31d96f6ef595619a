import importlib.util
from pathlib import Path

import pytest

import experiments.bench.__main__ as command
from experiments.bench.measuring import TOPICS, in_fresh_process
from experiments.bench.notes import Measured, notes
from experiments.bench.rows import Row, side_by_side
from fkd.core.errors import UserError

CONDITIONS = {
    "date": "2026-11-22",
    "processor": "Abacus 1",
    "cores": "2",
    "gpu": "none",
    "commit": "abc",
    "python": "3.11.7",
    "data": "faces",
    "data_checksum": "0123456789abcdef",
}
FAST = Row("reading", "pandas", 9.0, 8.0, "1 s against 9 s")
SLOW = Row("peak memory", "1.5 GB", 0.75, 1.0, "2 GB")


def test_a_row_passes_at_its_target_and_tells_what_is_missing():
    assert [Row("", "", ratio, 4.0, "").passes for ratio in (4.0, 3.0, float("nan"))] == [True, False, False]
    assert Row("", "", 3.0, 4.0, "").shortfall == 0.25
    assert Row("", "", 5.0, 4.0, "").shortfall == 0


def test_two_ways_are_timed_by_turns_after_one_call_of_each():
    calls = []
    ours_s, theirs_s = side_by_side(lambda: calls.append("o"), lambda: calls.append("t"), repeats=2)
    assert "".join(calls) == "ot" * 3
    assert ours_s >= 0
    assert theirs_s >= 0


def test_the_notes_tell_conditions_targets_and_own_tables():
    measured = [
        Measured("reading", CONDITIONS, (FAST,)),
        Measured("memory", CONDITIONS, (SLOW,)),
        Measured("growth", CONDITIONS | {"cores": "4"}, (), {"Growth": {"rows": [1000], "seconds": [0.5]}}),
    ]
    assert notes(measured) == (
        "\n- 2026-11-22, Abacus 1, 2 cores, GPU: none; fkd abc, Python 3.11.7; data faces (0123456789ab): "
        "reading, memory.\n"
        "- 2026-11-22, Abacus 1, 4 cores, GPU: none; fkd abc, Python 3.11.7; data faces (0123456789ab): "
        "growth.\n"
        "\n| what | against | to reach | reached | shortfall | detail |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| reading | pandas | 8x | 9x | - | 1 s against 9 s |\n"
        "| peak memory | 1.5 GB | 1x | 0.75x | 25% | 2 GB |\n"
        "\n### Growth\n\n| rows | seconds |\n| ---: | ---: |\n| 1,000 | 0.500 |\n\n"
    )


@pytest.fixture
def figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Row | Exception]:
    """What the topics will measure or raise; the notes are NOTES.md and the results stand in a new folder."""
    rows: dict[str, Row | Exception] = {}

    def measure_topic(name: str, folder: Path, conditions: dict[str, str]) -> Measured:
        if isinstance(found := rows[name], Exception):
            raise found
        return Measured(name, conditions, (found,))

    path = tmp_path / "NOTES.md"
    path.write_text(
        "above\n<!-- begin: written by make bench -->\n<!-- end: written by make bench -->\nbelow\n"
    )
    monkeypatch.setattr(command, "NOTES", path)
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(command, "measure_topic", measure_topic)
    monkeypatch.setattr(command, "data_folder", lambda: tmp_path)
    monkeypatch.setattr(command, "conditions", lambda folder: CONDITIONS)
    monkeypatch.setattr(command, "in_fresh_process", lambda function, *arguments: function(*arguments))
    return rows


def test_a_missed_target_is_written_and_told_by_the_status(figures: dict, capsys: pytest.CaptureFixture):
    figures |= {"memory": SLOW}
    assert command.main(["memory"]) == 1
    assert "memory: peak memory: 0.75x of 1x (2 GB)" in capsys.readouterr().err
    assert "| peak memory |" in command.NOTES.read_text()


def test_a_topic_that_is_not_run_or_fails_keeps_its_figures(figures: dict, capsys: pytest.CaptureFixture):
    figures |= {"reading": FAST}
    assert command.main(["reading"]) == 0
    figures |= {"memory": SLOW, "reading": UserError("install pandas")}
    assert command.main(["memory", "reading"]) == 1
    assert "reading: install pandas\n" in capsys.readouterr().err
    text = command.NOTES.read_text()
    assert text.startswith("above\n")
    assert text.endswith("below\n")
    assert text.index("| reading | pandas |") < text.index("| peak memory | 1.5 GB |")


def test_an_unknown_topic_is_refused(figures: dict, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit):
        command.main(["speed"])
    assert "received speed" in capsys.readouterr().err


def test_every_topic_is_a_module():
    assert [
        topic for topic in TOPICS if not importlib.util.find_spec(f"experiments.bench.topics.{topic}")
    ] == []


def test_what_is_measured_in_a_process_of_its_own_comes_back_and_what_it_raises_too():
    assert in_fresh_process(sum, [1, 2]) == 3
    with pytest.raises(ZeroDivisionError):
        in_fresh_process(divmod, 1, 0)
