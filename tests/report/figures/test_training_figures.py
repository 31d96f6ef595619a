from pathlib import Path

import numpy as np
from small_run import axes_of, small_faces, write_done, write_history, write_run

from fkd.report.figures.training_figures import training_section
from fkd.report.run_record import read_run

FACES = small_faces()


def test_every_member_has_its_curves(tmp_path: Path):
    section = training_section(read_run(write_run(tmp_path, FACES), FACES))
    assert section.text == "3 members in all: 3 done."
    panels = axes_of(section, "training-curves")
    assert [panel.texts[0].get_text() for panel in panels] == ["00: 4.00", "01: 4.00", "00: 4.00"]
    for panel in panels:
        training, validation, best = panel.lines
        np.testing.assert_allclose(training.get_xydata(), [[1, 3], [2, 2], [3, 2.5]])
        np.testing.assert_allclose(validation.get_xydata(), [[1, 6], [2, 4], [3, 5]])
        np.testing.assert_allclose(best.get_xydata(), [[2, 4]])


def test_all_panels_have_one_scale(tmp_path: Path):
    run = write_run(tmp_path, FACES)
    write_history(run.member("eleven", 0), [90.0, 70.0])
    write_done(run.member("eleven", 0))
    panels = axes_of(training_section(read_run(run, FACES)), "training-curves")
    assert len({(panel.get_xlim(), panel.get_ylim()) for panel in panels}) == 1
    assert panels[0].get_ylim()[0] < 2 < 90 < panels[0].get_ylim()[1]


def test_an_early_stop_is_marked_at_its_end(tmp_path: Path):
    run = write_run(tmp_path, FACES, training={"max_epochs": 3})
    write_history(run.member("four", 1), [4, 6])
    write_done(run.member("four", 1))
    panels = axes_of(training_section(read_run(run, FACES)), "training-curves")
    assert [len(panel.lines) for panel in panels] == [3, 4, 3]
    assert list(panels[1].lines[3].get_xdata()) == [2, 2]


def test_a_diverged_epoch_leaves_the_scale_alone(tmp_path: Path):
    run = write_run(tmp_path, FACES)
    write_history(run.member("four", 0), [6.0, 4.0, float("inf")])
    write_done(run.member("four", 0))
    panels = axes_of(training_section(read_run(run, FACES)), "training-curves")
    assert panels[0].get_ylim()[1] < 12
    assert panels[0].texts[0].get_text() == "00: 4.00"


def test_members_that_have_not_begun_are_counted(tmp_path: Path):
    factors = {"four": (1.0, None), "eleven": (None,)}
    section = training_section(read_run(write_run(tmp_path, FACES, factors), FACES))
    assert section.text == "3 members in all: 1 done, 2 waiting. 2 have no finished epoch and are not shown."
    assert len(axes_of(section, "training-curves")) == 1


def test_a_member_in_training_says_so(tmp_path: Path):
    run = write_run(tmp_path, FACES)
    run.member("four", 0).done.unlink()
    panels = axes_of(training_section(read_run(run, FACES)), "training-curves")
    assert panels[0].texts[0].get_text() == "00: 4.00\ninterrupted"


def test_nothing_has_begun(tmp_path: Path):
    section = training_section(
        read_run(write_run(tmp_path, FACES, {"four": (None,), "eleven": (None,)}), FACES)
    )
    assert (section.text, section.figures) == ("2 members in all: 2 waiting. There are no curves yet.", ())


def test_best_error_against_epochs(tmp_path: Path):
    run = write_run(tmp_path, FACES)
    write_history(run.member("four", 1), [6, 5, 4, 3, 2])
    write_done(run.member("four", 1))
    (axes,) = axes_of(training_section(read_run(run, FACES)), "best-against-epochs")
    four, eleven = axes.lines
    np.testing.assert_allclose(four.get_xydata(), [[3, 4], [5, 2]])
    np.testing.assert_allclose(eleven.get_xydata(), [[3, 4]])


def test_time_and_speed(tmp_path: Path):
    time, speed = axes_of(training_section(read_run(write_run(tmp_path, FACES), FACES)), "training-time")
    # Three epochs of a second; eight images in half a second.
    np.testing.assert_allclose(time.lines[0].get_xydata(), [[0, 0.05], [1, 0.05]])
    np.testing.assert_allclose(speed.lines[0].get_xydata(), [[0, 16], [1, 16]])
