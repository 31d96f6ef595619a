"""Batches: purity, the flip's names, and keypoints that follow the picture."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from drawn_faces import (
    ALL,
    GRID_PX,
    dot_errors,
    find_dots,
    flat_images,
    make_batches,
    noise_images,
    one_face,
    points_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from repository import REPOSITORY

from fkd.core.keypoints import CENTRE_PX, IMAGE_SIZE_PX, KAGGLE15, SCHEMAS, Schema, to_unit
from fkd.experiment.augmentation import Augmentation
from fkd.experiment.files import load_experiment
from fkd.training.augment import MAX_GREY, PIXELS, draw_warp, node_weights

LEFT_EYE, RIGHT_EYE, NOSE, MOUTH = KAGGLE15.indices("four")

ENSEMBLE = load_experiment(str(REPOSITORY / "experiments" / "ensemble.yaml")).augmentation
STRONG = Augmentation.model_validate(
    {
        "flip": {"probability": 0.5},
        "contrast": {"probability": 0.5, "limit": 0.5},
        "brightness": {"probability": 0.5, "limit": 0.5},
        "blur": {"probability": 0.5, "max_sigma_px": 2},
        "rotation": {"probability": 0.5, "max_degrees": 30},
        "scaling": {"probability": 0.5, "limit": 0.2},
        "shift": {"probability": 0.5, "max_px": 8},
        "elastic": {"probability": 0.5, "amplitude_px": 1.6, "smoothness_px": 8},
        "perspective": {"probability": 0.5, "max_shift": 0.1},
    }
)
# Noise and cut-out have tests of their own: in them no dot is found again.
NAMES = tuple(
    name for name in Augmentation.model_fields if name not in ("noise", "cut_out", "albumentations")
)
GREY = ("contrast", "brightness", "blur")  # they leave every point where it is


def always(ranges: Augmentation, *names: str) -> Augmentation:
    """The named transforms with probability 1 and the given ranges; no others."""
    return Augmentation(
        **{name: getattr(ranges, name).model_copy(update={"probability": 1.0}) for name in names}
    )


@pytest.mark.parametrize("ranges", [ENSEMBLE, STRONG], ids=["ensemble", "strong"])
@pytest.mark.parametrize("names", [*((name,) for name in NAMES), NAMES], ids=[*NAMES, "all"])
def test_keypoints_follow_the_picture(names: tuple[str, ...], ranges: Augmentation) -> None:
    errors_px, moves_px = dot_errors(always(ranges, *names))
    assert errors_px.mean() < 0.25
    assert np.percentile(errors_px, 95) < 0.5
    if not set(names) <= set(GREY):
        assert moves_px.mean() > 0.75  # or the limits above would say nothing


def test_a_flip_gives_every_point_the_name_of_its_twin() -> None:
    images = noise_images(1)
    keypoints = one_face(left_eye_center=(70, 40), nose_tip=(50, 60))
    batches = make_batches(images, keypoints, always(ENSEMBLE, "flip"), [LEFT_EYE, RIGHT_EYE, NOSE])
    flipped, targets = batches(epoch=0, index=0)
    np.testing.assert_allclose(points_of(targets)[0], [[np.nan, np.nan], [25, 40], [45, 60]], atol=1e-4)
    np.testing.assert_allclose(flipped[0, :, :, 0], images[0, :, ::-1] / MAX_GREY, atol=1e-6)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_a_flip_mirrors_every_point_of_a_schema_to_its_twin(schema: Schema) -> None:
    keypoints = np.random.default_rng(2).uniform(0, 95, (1, len(schema.names), 2)).astype(np.float32)
    batches = make_batches(
        noise_images(1), keypoints, always(STRONG, "flip"), schema.indices("all"), schema=schema
    )
    flipped_px = dict(zip(schema.names, points_of(batches(0, 0)[1])[0], strict=True))
    other_side = {"left": "right", "right": "left"}
    for name, (x, y) in zip(schema.names, keypoints[0], strict=True):
        twin = re.sub("left|right", lambda side: other_side[side[0]], name)
        np.testing.assert_allclose(flipped_px[twin], [95 - x, y], atol=1e-4)


def test_a_shift_moves_picture_and_points_alike() -> None:
    keypoints = one_face(nose_tip=(50, 60))
    batches = make_batches(noise_images(1), keypoints, always(STRONG, "shift"), [NOSE])
    moves_px = [points_of(batches(epoch, 0)[1])[0, 0] - (50, 60) for epoch in range(200)]
    assert np.abs(moves_px).max() <= 8
    assert np.abs(np.mean(moves_px, axis=0)).max() < 1  # four standard errors
    assert np.std(moves_px, axis=0) == pytest.approx([8 / 3**0.5] * 2, rel=0.1)


def test_noise_has_a_standard_deviation_up_to_the_limit() -> None:
    grey = np.full((200, IMAGE_SIZE_PX, IMAGE_SIZE_PX), 128, np.uint8)
    noise = Augmentation.model_validate({"noise": {"probability": 1, "limit": 0.1}})
    deviations = make_batches(grey, augmentation=noise)(0, 0)[0].std(axis=(1, 2, 3))
    assert deviations.max() <= 0.102
    assert deviations.mean() == pytest.approx(0.05, rel=0.15)


def test_a_cut_out_rectangle_has_the_mean_grey_and_at_most_the_longest_side() -> None:
    cut_out = Augmentation.model_validate({"cut_out": {"probability": 1, "max_px": 20}})
    pictures = noise_images(100)
    images = make_batches(pictures, augmentation=cut_out)(0, 0)[0][..., 0]
    stills = make_batches(pictures)(0, 0)[0][..., 0]
    heights = []
    for image, still in zip(images, stills, strict=True):
        changed_rows, changed_columns = np.nonzero(image != still)
        if len(changed_rows):
            rows, columns = np.ptp(changed_rows) + 1, np.ptp(changed_columns) + 1
            assert max(rows, columns) <= 20
            assert image[changed_rows, changed_columns] == pytest.approx(still.mean(), abs=1e-4)
            heights.append(rows)
    assert len(heights) > 80
    assert max(heights) > 15


def test_a_target_may_come_from_a_twin_that_is_no_target() -> None:
    keypoints = one_face(left_eye_center=(70, 40))
    _, targets = make_batches(noise_images(1), keypoints, always(ENSEMBLE, "flip"), [RIGHT_EYE])(0, 0)
    np.testing.assert_allclose(points_of(targets)[0], [[25, 40]], atol=1e-4)


@pytest.mark.parametrize("labelled", [(), (LEFT_EYE,), (RIGHT_EYE, NOSE)])
def test_points_without_a_label_stay_without_one(labelled: tuple[int, ...]) -> None:
    keypoints = np.full((8, len(ALL), 2), np.nan, np.float32)
    keypoints[:, labelled] = 50
    names = [name for name in NAMES if name != "flip"]
    _, targets = make_batches(noise_images(8), keypoints, always(STRONG, *names))(0, 0)
    has_label = np.isfinite(points_of(targets)).all(axis=2)
    np.testing.assert_array_equal(has_label, np.tile(np.isin(ALL, labelled), (8, 1)))


def test_without_augmentation_a_batch_is_the_data() -> None:
    images = noise_images(3)
    keypoints = np.random.default_rng(0).uniform(-9, 109, (3, len(ALL), 2)).astype(np.float32)
    keypoints[1, 4] = np.nan
    batch_images, targets = make_batches(images, keypoints, batch_size=1)(epoch=2, index=1)
    (row,) = np.flatnonzero((images / np.float32(MAX_GREY) == batch_images[0, :, :, 0]).all(axis=(1, 2)))
    np.testing.assert_array_equal(targets, to_unit(keypoints[row]).reshape(1, -1))
    assert batch_images.shape == (1, IMAGE_SIZE_PX, IMAGE_SIZE_PX, 1)
    assert batch_images.dtype == targets.dtype == np.float32


def test_targets_are_the_wanted_points_in_their_order() -> None:
    keypoints = one_face(left_eye_center=(95.5, 47.5), nose_tip=(-0.5, 71.5), right_eye_center=(1, 1))
    _, targets = make_batches(noise_images(1), keypoints, target_indices=[NOSE, LEFT_EYE])(0, 0)
    np.testing.assert_array_equal(targets, [[-1, 0.5, 1, 0]])


@settings(deadline=None, max_examples=50)
@given(n=st.integers(1, 40), batch_size=st.integers(1, 45), epoch=st.integers(0, 2000))
def test_an_epoch_shows_every_row_once(n: int, batch_size: int, epoch: int) -> None:
    batches = make_batches(flat_images(n), batch_size=batch_size)
    parts = [batches(epoch, index)[0] for index in range(len(batches))]
    assert len(batches) == np.ceil(n / batch_size)
    assert [len(part) for part in parts[:-1]] == [batch_size] * (len(batches) - 1)
    rows = np.concatenate(parts)[:, 0, 0, 0] * MAX_GREY
    np.testing.assert_array_equal(np.sort(rows.round()), np.arange(n))


def test_every_epoch_and_seed_has_its_own_order() -> None:
    def order(epoch: int, seed: Sequence[int]) -> tuple[float, ...]:
        return tuple(make_batches(flat_images(30), seed=seed)(epoch, 0)[0][:, 0, 0, 0])

    assert len({order(0, (0, 0, 0)), order(1, (0, 0, 0)), order(0, (0, 0, 1)), order(0, (1, 0, 0))}) == 4


def test_every_epoch_index_and_seed_has_its_own_augmentation() -> None:
    same_face_twice = np.repeat(noise_images(1), 2, axis=0)

    def first(epoch: int, index: int, seed: Sequence[int]) -> bytes:
        batches = make_batches(same_face_twice, None, always(STRONG, *NAMES), batch_size=1, seed=seed)
        return batches(epoch, index)[0].tobytes()

    calls = [(0, 0, (0, 0)), (0, 1, (0, 0)), (1, 0, (0, 0)), (0, 0, (0, 1)), (0, 0, (1, 0))]
    assert len({first(*call) for call in calls}) == len(calls)


def test_a_batch_depends_on_nothing_but_seed_epoch_and_index() -> None:
    images = noise_images(20)
    keypoints = np.random.default_rng(1).uniform(20, 70, (20, len(ALL), 2)).astype(np.float32)
    originals = images.copy(), keypoints.copy()
    batches = make_batches(images, keypoints, STRONG, batch_size=6)
    keys = [(epoch, index) for epoch in range(4) for index in range(len(batches))]

    def ask(key: tuple[int, int]) -> tuple[bytes, bytes]:
        batch_images, targets = batches(*key)
        return batch_images.tobytes(), targets.tobytes()

    in_order = [ask(key) for key in keys]
    with ThreadPoolExecutor(2) as threads:
        backwards = list(threads.map(ask, keys[::-1]))
    assert in_order == backwards[::-1]
    np.testing.assert_array_equal(images, originals[0])
    np.testing.assert_array_equal(keypoints, originals[1])


@pytest.mark.parametrize("index", [-1, 2])
def test_an_index_outside_the_epoch_is_refused(index: int) -> None:
    with pytest.raises(IndexError, match="from 0 to 1, received"):
        make_batches(noise_images(4), batch_size=2)(0, index)


@pytest.mark.parametrize("other", ["rotation", "scaling", "elastic", "perspective"])
def test_each_geometric_transform_has_its_own_probability(other: str) -> None:
    probabilities = {"flip": {"probability": 0.5}, other: {"probability": 0.25}}
    keypoints = np.tile(one_face(nose_tip=(30, 30)), (400, 1, 1))
    batches = make_batches(noise_images(400), keypoints, Augmentation.model_validate(probabilities), [NOSE])
    x, y = points_of(batches(0, 0)[1])[:, 0].T
    flipped, moved = x > CENTRE_PX, np.abs(y - 30) > 1e-4
    # Within four standard deviations of 10 and 7.
    for side in (flipped, ~flipped):
        assert np.sum(side & ~moved) == pytest.approx(150, abs=40)
        assert np.sum(side & moved) == pytest.approx(50, abs=28)


@pytest.mark.parametrize("name", GREY)
def test_strengths_are_drawn_independently_of_the_flip(name: str) -> None:
    n = 400
    augmentation = Augmentation.model_validate({"flip": {"probability": 0.5}, name: {"probability": 0.5}})
    keypoints = np.tile(one_face(nose_tip=(30, 30)), (n, 1, 1))
    images = np.repeat(noise_images(1), n, axis=0)
    still = images[0] / np.float32(MAX_GREY)
    half_blurred = cv2.GaussianBlur(still, (0, 0), sigmaX=augmentation.blur.max_sigma_px / 2)
    batches = make_batches(images, keypoints, augmentation, [NOSE], batch_size=1)
    outcomes = []
    for index in range(n):  # one face a batch, because a batch's first draws are those that coincide easily
        image, targets = batches(0, index)
        flipped = points_of(targets)[0, 0, 0] > CENTRE_PX
        strong = image.std() < half_blurred.std() if name == "blur" else image.std() > still.std() + 1e-6
        outcomes.append((bool(flipped), bool(strong)))
    for flipped in (False, True):
        assert outcomes.count((flipped, False)) == pytest.approx(150, abs=40)
        assert outcomes.count((flipped, True)) == pytest.approx(50, abs=28)


def test_contrast_brightness_and_blur_are_drawn_independently_of_each_other() -> None:
    n = 400
    settings = {name: {"probability": 0.5} for name in GREY} | {
        "blur": {"probability": 0.5, "max_sigma_px": 10}  # few are then too small to be seen
    }
    steps = np.full((n, IMAGE_SIZE_PX, IMAGE_SIZE_PX), 80, np.uint8)
    steps[:, :, IMAGE_SIZE_PX // 2 :] = 120
    images = make_batches(steps, None, Augmentation.model_validate(settings))(0, 0)[0][:, 0, :, 0]
    darkest, brightest = images[:, 0], images[:, -1]
    brightened = np.abs(darkest + brightest - 200 / MAX_GREY) > 1e-4  # contrast and blur keep the mean
    stretched = np.abs(brightest / darkest - 120 / 80) > 1e-4  # a factor keeps the ratio
    blurred = np.abs(images[:, IMAGE_SIZE_PX // 2] - brightest) > 1e-4
    cells = 4 * brightened + 2 * stretched + blurred
    # Within four standard deviations of 6.6.
    np.testing.assert_allclose(np.bincount(cells, minlength=8), 50, atol=27)


def test_contrast_is_about_the_mean_and_leaves_points_alone() -> None:
    images = np.repeat(noise_images(1), 200, axis=0)
    keypoints = np.tile(one_face(nose_tip=(30, 40)), (200, 1, 1))
    batches = make_batches(images, keypoints, always(ENSEMBLE, "contrast"))
    augmented, targets = batches(0, 0)
    np.testing.assert_allclose(augmented.mean(axis=(1, 2, 3)), images[0].mean() / MAX_GREY, rtol=1e-5)
    factors = augmented.std(axis=(1, 2, 3)) / (images[0].std() / MAX_GREY)
    assert 0.8 <= factors.min() < 0.82
    assert 1.18 < factors.max() <= 1.2
    np.testing.assert_array_equal(targets, to_unit(keypoints).reshape(200, -1))


@pytest.mark.parametrize("name", ["contrast", "brightness"])
def test_grey_values_stay_between_black_and_white(name: str) -> None:
    images = np.repeat(flat_images(2) * MAX_GREY, 20, axis=0)
    images[:, :, ::2] = MAX_GREY // 2
    augmented, _ = make_batches(images, None, always(STRONG, name))(0, 0)
    assert augmented.min() == 0
    assert augmented.max() == 1


def test_brightness_is_one_factor_an_image_and_leaves_points_alone() -> None:
    images = np.repeat(noise_images(1), 200, axis=0)
    keypoints = np.tile(one_face(nose_tip=(30, 40)), (200, 1, 1))
    augmented, targets = make_batches(images, keypoints, always(ENSEMBLE, "brightness"))(0, 0)
    factors = augmented[..., 0] / (images / MAX_GREY)
    np.testing.assert_allclose(np.ptp(factors, axis=(1, 2)), 0, atol=1e-5)
    assert 0.8 <= factors.min() < 0.82
    assert 1.18 < factors.max() <= 1.2 + 1e-6
    np.testing.assert_array_equal(targets, to_unit(keypoints).reshape(200, -1))


def test_blur_has_the_wanted_widths_and_leaves_the_picture_and_points_where_they_are() -> None:
    images = np.zeros((200, IMAGE_SIZE_PX, IMAGE_SIZE_PX), np.uint8)
    images[:, 40, 50] = MAX_GREY
    keypoints = np.tile(one_face(nose_tip=(50, 40)), (200, 1, 1))
    augmented, targets = make_batches(images, keypoints, always(STRONG, "blur"))(0, 0)
    dots = augmented[..., 0]
    np.testing.assert_allclose(dots.sum(axis=(1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(find_dots(dots), np.tile([50, 40], (200, 1)), atol=1e-3)
    variances_px2 = np.einsum("iyx,yxc->ic", dots, (GRID_PX - [50, 40]) ** 2)
    np.testing.assert_allclose(variances_px2[:, 0], variances_px2[:, 1], atol=1e-4)  # round
    sigmas_px = np.sqrt(variances_px2[:, 0])
    assert sigmas_px.min() < 0.05
    assert 1.95 < sigmas_px.max() <= 2
    assert sigmas_px.mean() == pytest.approx(1, abs=0.16)  # four standard deviations of a uniform mean
    np.testing.assert_array_equal(targets, to_unit(keypoints).reshape(200, -1))


def test_scaling_enlarges_about_the_centre_within_its_range() -> None:
    keypoints = np.tile(one_face(nose_tip=(CENTRE_PX + 30, CENTRE_PX - 40)), (200, 1, 1))
    _, targets = make_batches(noise_images(200), keypoints, always(ENSEMBLE, "scaling"), [NOSE])(0, 0)
    x, y = (points_of(targets)[:, 0] - CENTRE_PX).T
    np.testing.assert_allclose(x / 30, y / -40, rtol=1e-5)
    factors = x / 30
    assert 0.9 <= factors.min() < 0.91
    assert 1.09 < factors.max() <= 1.1 + 1e-6


@pytest.mark.parametrize("names", [("rotation",), ("flip", "rotation")], ids=["alone", "flipped"])
def test_rotation_turns_about_the_centre_within_its_range(names: tuple[str, ...]) -> None:
    beside, below = (CENTRE_PX + 52.5, CENTRE_PX), (CENTRE_PX, CENTRE_PX + 52.5)  # outside the frame
    keypoints = np.tile(one_face(nose_tip=beside, mouth_center_bottom_lip=below), (200, 1, 1))
    _, targets = make_batches(noise_images(200), keypoints, always(ENSEMBLE, *names), [NOSE, MOUTH])(0, 0)
    nose, mouth = np.moveaxis(points_of(targets) - CENTRE_PX, 1, 0)
    np.testing.assert_allclose(np.linalg.norm([nose, mouth], axis=-1), 52.5, rtol=1e-5)
    np.testing.assert_allclose(np.sum(nose * mouth, axis=1), 0, atol=0.05)  # still at a right angle
    degrees = np.degrees(np.arctan2(mouth[:, 0], mouth[:, 1]))
    assert -10 <= degrees.min() < -9 < 9 < degrees.max() <= 10


def test_perspective_moves_a_corner_of_the_frame_within_its_range() -> None:
    keypoints = np.tile(one_face(nose_tip=(-0.5, -0.5)), (200, 1, 1))
    _, targets = make_batches(noise_images(200), keypoints, always(ENSEMBLE, "perspective"), [NOSE])(0, 0)
    shifts_px = points_of(targets)[:, 0] + 0.5
    limit_px = 4.8  # 0.05 of 96
    assert np.all(np.abs(shifts_px) < limit_px + 1e-3)
    assert np.all(shifts_px.max(axis=0) > 0.9 * limit_px)
    assert np.all(shifts_px.min(axis=0) < -0.9 * limit_px)


def test_elastic_moves_points_by_its_amplitude() -> None:
    places_px = np.random.default_rng(3).uniform(0, 95, (400, len(ALL), 2)).astype(np.float32)
    batches = make_batches(noise_images(400), places_px, always(STRONG, "elastic"))
    moved_px = points_of(batches(0, 0)[1])
    still_px = points_of(make_batches(batches.images, places_px)(0, 0)[1])
    rms_px = np.sqrt(np.mean((moved_px - still_px) ** 2, axis=(0, 1)))
    np.testing.assert_allclose(rms_px, 1.6, rtol=0.05)


def test_the_random_field_has_unit_variance_and_the_wanted_smoothness() -> None:
    weights, _ = node_weights(PIXELS, smoothness_px=8)
    correlations = weights @ weights.T  # of a row's pixels, whose noise is independent and of unit variance
    np.testing.assert_allclose(np.diagonal(correlations), 1, atol=3e-4)
    # White noise smoothed by a Gaussian of 8 px correlates by exp(-(16 / 8)^2 / 4) = exp(-1) over 16 px.
    np.testing.assert_allclose(np.diagonal(correlations, 16), np.exp(-1), atol=3e-4)


def test_points_find_their_place_in_the_steepest_field() -> None:
    steepest = {"probability": 1, "amplitude_px": 3, "smoothness_px": 15}
    rng = np.random.default_rng(0)
    warp = draw_warp(Augmentation.model_validate({"elastic": steepest}), 100, rng)
    places_px = rng.uniform(-5, 100, (100, 600, 2)).astype(np.float32)
    found_px = warp.points(places_px)
    (weights_x, _), (weights_y, _) = (node_weights(found_px[..., axis], 15) for axis in range(2))
    shift_px = np.einsum("fpm,famn,fpn->fpa", weights_y, warp.noise_px, weights_x, optimize=True)
    assert np.abs(shift_px).max() > 9  # or the limit below would say little
    np.testing.assert_allclose(found_px + shift_px, places_px, atol=0.05)


def test_what_never_happens_draws_nothing() -> None:
    rng = np.random.default_rng(0)
    draw_warp(Augmentation(), 5, rng)
    assert rng.random() == np.random.default_rng(0).random()
