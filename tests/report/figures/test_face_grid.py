import numpy as np

from fkd.report.figures.face_grid import draw_faces

IMAGES = np.full((4, 96, 96), 7, np.uint8)
TRUTH = np.full((4, 2, 2), 30.0)
TRUTH[:, 1] = [40, 50]
PREDICTION = TRUTH + np.array([3, 4])


def test_every_face_has_its_picture_title_and_points():
    figure = draw_faces(IMAGES, {"prediction": PREDICTION, "truth": TRUTH}, ["a", "b", "c", "d"])
    axes = figure.axes[:4]
    assert [panel.get_title() for panel in axes] == ["a", "b", "c", "d"]
    assert all((panel.images[0].get_array() == 7).all() for panel in axes)
    *joints, predicted, true = axes[3].lines
    np.testing.assert_allclose(predicted.get_xydata(), [[33, 34], [43, 54]])
    np.testing.assert_allclose(true.get_xydata(), [[30, 30], [40, 50]])
    np.testing.assert_allclose(joints[1].get_xydata(), [[43, 54], [40, 50]])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["prediction", "truth"]


def test_empty_places_stay_empty():
    figure = draw_faces(IMAGES, {"prediction": PREDICTION}, [""] * 4)
    assert [len(axes.images) for axes in figure.axes] == [1, 1, 1, 1, 0, 0]
    assert len(figure.axes[0].lines) == 1


def test_a_point_outside_does_not_shrink_the_picture():
    figure = draw_faces(IMAGES[:1], {"prediction": np.full((1, 2, 2), 200.0)}, [""])
    assert figure.axes[0].get_xlim() == (-0.5, 95.5)


def test_unlabelled_points_are_not_drawn():
    truth = TRUTH.copy()
    truth[:, 0] = np.nan
    figure = draw_faces(IMAGES[:1], {"prediction": PREDICTION[:1], "truth": truth[:1]}, [""])
    figure.canvas.draw()
    assert np.isnan(figure.axes[0].lines[-1].get_xydata()[0]).all()
