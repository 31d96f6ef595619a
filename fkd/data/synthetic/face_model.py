"""The 3-D head behind a drawn face: its shape, the outlines of its features, its pose and its 15 points.

Head coordinates: u to the person's left (the viewer's right), v down, z towards the viewer; the unit is half
the usual distance between the eyes, and the eyes are at v = 0. All outlines lie on the head's surface and
are projected with it; the keypoints are points of those very outlines.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fkd.core.keypoints import CENTRE_PX, KAGGLE15

CAMERA_DISTANCE = 14.0
SKULL_CENTRE_V, SKULL_HALF_HEIGHT, SKULL_DEPTH = 0.25, 3.3, 2.4
SIDES = (("left", 1), ("right", -1))

Array = npt.NDArray[np.floating]
Outlines = dict[str, Array]


@dataclass(frozen=True)
class Identity:
    """What stays the same in all pictures of one person; lengths in head units, tones are albedos 0-255."""

    half_width: float = 2.25
    jaw_taper: float = 0.25
    eye_spacing: float = 1.0
    eye_half_width: float = 0.4
    eye_height: float = 0.2
    eye_tilt: float = 0.03
    brow_height: float = 0.55
    brow_arch: float = 0.12
    brow_thickness: float = 0.1
    nose_length: float = 1.02
    nose_height: float = 0.95
    nose_width: float = 0.34
    mouth_height: float = 2.05
    mouth_half_width: float = 0.8
    lip_thickness: float = 0.24
    skin: float = 190.0
    lips: float = 140.0
    iris: float = 70.0
    hair: float = 50.0
    hairline: float = -1.7
    hair_volume: float = 0.2
    long_hair: bool = False
    beard: float = 0.0
    moustache: float = 0.0
    wrinkles: float = 0.2
    glasses: str = "none"


@dataclass(frozen=True)
class Scene:
    """What changes from picture to picture: pose (radians), expression, light, framing, camera."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    smile: float = 0.0
    mouth_open: float = 0.0
    eye_opening: float = 1.0
    brow_raise: float = 0.0
    frown: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)
    light: tuple[float, float, float] = (0.0, -0.4, 0.9)
    ambient: float = 0.5
    centre_px: tuple[float, float] = (CENTRE_PX, 55.0)
    size_px: float = 71.0
    background: tuple[float, float] = (120.0, 120.0)
    clutter: int = 0
    occluder: str = "none"
    blur_px: float = 0.0
    noise: float = 0.0
    contrast: float = 1.0
    brightness: float = 0.0


def head_outlines(identity: Identity, scene: Scene) -> Outlines:
    """The features' outlines by name in head coordinates, shape (points, 3); pairs run outwards."""
    flat = _mouth_outlines(identity, scene) | _nose_outlines(identity)
    for side, sign in SIDES:
        flat |= {f"{side}_{name}": outline for name, outline in _eye_outlines(identity, scene, sign).items()}
        flat |= {f"{side}_{name}": outline for name, outline in _side_outlines(identity, scene, sign).items()}

    def lay_on(outline: Array) -> Array:
        u, v, drop, lift = outline.T
        return _on_surface(identity, scene, u, v) + np.stack([0 * u, drop, lift], axis=-1)

    outlines = map_outlines(lay_on, flat)
    for side, _ in SIDES:
        for name in ("iris", "pupil"):  # flat: an eyeball does not bend with the skin around it
            outlines[f"{side}_{name}"][:, 2] = outlines[f"{side}_eye_center"][0, 2]
    return outlines


def map_outlines(function: Callable[[Array], Array], outlines: Outlines) -> Outlines:
    """Apply a function of points (points, dimensions) to all outlines in a single call."""
    ends = np.cumsum([len(outline) for outline in outlines.values()])[:-1]
    points = function(np.concatenate(list(outlines.values())))
    return dict(zip(outlines, np.split(points, ends), strict=True))


def project(points: Array, scene: Scene) -> Array:
    """Turn head coordinates (..., 3) by yaw, pitch, roll and view them from a near camera: (..., 2)."""
    turned = (points + np.array([0, 0, 2])) @ rotation(scene).T
    return turned[..., :2] * (CAMERA_DISTANCE / (CAMERA_DISTANCE - turned[..., 2:]))


def rotation(scene: Scene) -> Array:
    """The head's rotation matrix: yaw about its vertical axis, then pitch, then roll in the image plane."""
    (cy, cp, cr), (sy, sp, sr) = (f([scene.yaw, scene.pitch, scene.roll]) for f in (np.cos, np.sin))
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return roll @ pitch @ yaw


def keypoints_of(outlines: Outlines) -> Array:
    """The schema's points, picked from (projected) outlines: shape (15, dimensions)."""
    points = {
        "nose_tip": outlines["nose_tip"][0],
        "mouth_left_corner": outlines["upper_lip"][-1],
        "mouth_right_corner": outlines["upper_lip"][0],
        "mouth_center_top_lip": _middle(outlines["upper_lip"]),
        "mouth_center_bottom_lip": _middle(outlines["lower_lip"]),
    }
    for side, _ in SIDES:
        upper, brow = outlines[f"{side}_upper_lid"], outlines[f"{side}_brow"]
        points[f"{side}_eye_center"] = outlines[f"{side}_eye_center"][0]
        points[f"{side}_eye_inner_corner"], points[f"{side}_eye_outer_corner"] = upper[0], upper[-1]
        points[f"{side}_eyebrow_inner_end"], points[f"{side}_eyebrow_outer_end"] = brow[0], brow[-1]
    return np.array([points[name] for name in KAGGLE15.names])


def head_mesh(identity: Identity, scene: Scene) -> tuple[Array, Array]:
    """Surface points (rows, columns, 3) from crown to chin and ear to ear, and their hair in [0, 1]."""
    v = np.concatenate([np.linspace(-3.04, -1.1, 8), np.linspace(-0.93, 3.2, 25), [3.4, 3.53]])
    v = np.sort(np.append(v, identity.nose_length))[:, None]
    step = np.linspace(-1, 1, 27)
    angle = np.radians(105) * (0.55 * step + 0.45 * step**3)[None, :]
    width, depth = _skull(identity, v)
    u = width * np.sin(angle)
    facing = np.maximum(np.cos(angle), 0)
    z = depth * np.cos(angle) - SKULL_DEPTH + _relief(identity, scene, u, v) * facing
    hair = _hair_cover(identity, np.degrees(np.abs(angle)), v)
    jaw = np.clip((v - identity.mouth_height) / 0.5, 0, 1)
    points = np.stack([u, v + jaw * scene.mouth_open + 0 * u, z], axis=-1)
    outwards = points - [0, 0, -SKULL_DEPTH]
    outwards /= np.linalg.norm(outwards, axis=-1, keepdims=True)
    return points + outwards * (hair * identity.hair_volume)[..., None], hair


def _on_surface(identity: Identity, scene: Scene, u: Array, v: Array) -> Array:
    """Points on the front of the head, shape (..., 3)."""
    width, depth = _skull(identity, v)
    cosine = np.sqrt(np.clip(1 - (u / np.maximum(width, 1e-6)) ** 2, 0, 1))
    return np.stack([u, v, depth * cosine - SKULL_DEPTH + _relief(identity, scene, u, v) * cosine], axis=-1)


def _skull(identity: Identity, v: Array) -> tuple[Array, Array]:
    """Half width and depth of the bare skull at height v."""
    height = np.clip((v - SKULL_CENTRE_V) / SKULL_HALF_HEIGHT, -1, 1)
    reach = np.sqrt(1 - np.abs(height) ** 2.6)
    taper = 1 - identity.jaw_taper * np.maximum(height, 0) ** 2
    return identity.half_width * reach * taper, SKULL_DEPTH * reach


def _relief(identity: Identity, scene: Scene, u: Array, v: Array) -> Array:
    """Height of the features over the bare skull: smooth bumps and the ridge of the nose."""
    side, mouth, tip = np.abs(u), identity.mouth_height, identity.nose_length
    relief = np.zeros(np.broadcast(u, v).shape)
    for height, at_u, at_v, spread_u, spread_v in (
        (-0.28, identity.eye_spacing, 0.02, 0.42, 0.26),
        (0.16, 0.8, 0.1 - identity.brow_height, 0.75, 0.2),
        (0.2 + 0.15 * scene.smile, 1.3, 0.95 - 0.1 * scene.smile, 0.5, 0.42),
        (0.32, 0.0, mouth, 0.75, 0.55),
        (0.3, identity.nose_width, tip + 0.08, 0.15, 0.16),
        (0.45, 0.0, 3.05, 0.5, 0.35),
        (-0.12, 0.0, mouth + 0.5, 0.45, 0.12),
    ):
        relief += height * np.exp(-(((side - at_u) / spread_u) ** 2) - ((v - at_v) / spread_v) ** 2)
    along = np.clip((v + 0.5) / (tip + 0.5), 0, 1)
    ridge = along**1.4 * np.exp(-((np.maximum(v - tip, 0) / 0.2) ** 2))
    return relief + identity.nose_height * ridge * np.exp(-((u / (0.17 + 0.14 * along)) ** 2))


def _hair_cover(identity: Identity, angle_degrees: Array, v: Array) -> Array:
    """How much a place is covered by hair: the hairline falls from the forehead to the sideburns."""
    top = identity.hairline
    edge = np.interp(angle_degrees, [0, 30, 50, 66, 76, 105], [top, top + 0.05, top + 0.4, 0, 0.5, 2.2])
    return np.clip((edge - v) / 0.45 + 0.5, 0, 1)


def _outline(u: npt.ArrayLike, v: npt.ArrayLike, drop: npt.ArrayLike = 0, lift: npt.ArrayLike = 0) -> Array:
    """An outline before it is laid on the surface: place, then shift down and towards the viewer."""
    outline = np.empty((max(np.size(u), np.size(v)), 4))
    for column, values in enumerate((u, v, drop, lift)):
        outline[:, column] = values
    return outline


def _circle(radius_u: float, radius_v: float, points: int, squareness: float = 1.0) -> tuple[Array, Array]:
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    u, v = np.cos(angle), np.sin(angle)
    return radius_u * np.sign(u) * np.abs(u) ** squareness, radius_v * np.sign(v) * np.abs(v) ** squareness


def _eye_outlines(identity: Identity, scene: Scene, sign: int) -> Outlines:
    """Lids, iris, pupil and rim of one eye; `sign` is 1 on the person's left."""
    t = np.linspace(-1, 1, 13)
    bow = (1 - t**2) ** 0.75
    u = sign * (identity.eye_spacing + identity.eye_half_width * t)
    slant = -identity.eye_tilt * t
    lower = 0.45 * identity.eye_height
    upper = lower - 1.45 * identity.eye_height * scene.eye_opening
    centre_u, centre_v = sign * identity.eye_spacing, (lower + upper) / 2
    outlines = {
        "eye_center": _outline(centre_u, centre_v),
        "upper_lid": _outline(u, slant + upper * bow),
        "lower_lid": _outline(u, slant + lower * bow),
        "crease": _outline(u * 1.01, slant + (min(upper, -0.3 * identity.eye_height) - 0.09) * bow - 0.03),
        "bag": _outline(u, slant + (lower + 0.14) * bow + 0.04),
    }
    for name, radius in (("iris", 0.2), ("pupil", 0.085)):
        iris_u, iris_v = _circle(radius, radius, 14)
        outlines[name] = _outline(centre_u + scene.gaze[0] + iris_u, centre_v + scene.gaze[1] + iris_v)
    rim_u, rim_v = _circle(0.68, 0.5, 24, 0.75)
    outlines["rim"] = _outline(centre_u + rim_u, 0.1 + rim_v, lift=0.3)
    return outlines


def _side_outlines(identity: Identity, scene: Scene, sign: int) -> Outlines:
    """Brow, nostril, fold, temple of the glasses and ear of one side."""
    t = np.linspace(0, 1, 9)
    outer = 0.79 * identity.half_width
    inner = 0.4 * identity.eye_spacing
    arch = identity.brow_arch * (np.sin(np.pi * t**1.3) + 0.3 * t)
    frown = scene.frown * (1 - t) ** 2
    brow_v = -identity.brow_height - scene.brow_raise + frown - arch
    mouth_u, mouth_v = _mouth_corner(identity, scene)
    nostril_u, nostril_v = _circle(0.11, 0.06, 10)
    wing, tip = identity.nose_width, identity.nose_length
    wing_turn = np.linspace(-0.6, 0.45, 7) * np.pi
    ear_z, ear_v = _circle(0.35, 0.75, 14)
    return {
        "brow": _outline(sign * (inner + (outer - inner) * t), brow_v + 0.22 * t**2),
        "nostril": _outline(sign * 0.55 * wing + nostril_u, tip + 0.2 + nostril_v),
        "wing": _outline(sign * (wing + 0.14 * np.cos(wing_turn)), tip + 0.06 + 0.17 * np.sin(wing_turn)),
        "fold": _outline(
            sign * np.interp(t, [0, 0.6, 1], [wing + 0.15, 0.9 * mouth_u + 0.15, mouth_u + 0.16]),
            np.interp(t, [0, 0.6, 1], [tip, mouth_v - 0.35, mouth_v + 0.1]),
        ),
        "temple": _outline(
            sign * np.array([identity.eye_spacing + 0.66, 0.98 * identity.half_width]), -0.02, 0, [0.3, 0.1]
        ),
        "ear": _outline(sign * identity.half_width * 1.04, 0.55 + ear_v + 0 * ear_z, 0, ear_z - 0.2),
    }


def _nose_outlines(identity: Identity) -> Outlines:
    tip = identity.nose_length
    base_u = np.array([-1.3, -0.7, 0, 0.7, 1.3]) * identity.nose_width
    return {
        "nose_tip": _outline(0.0, tip),
        "nose_base": _outline(base_u, tip + np.array([0.16, 0.24, 0.3, 0.24, 0.16])),
        "bridge": _outline(np.linspace(-0.34, 0.34, 5), -0.02, 0, [0.3, 0.25, 0.22, 0.25, 0.3]),
    }


def _mouth_corner(identity: Identity, scene: Scene) -> tuple[float, float]:
    width = identity.mouth_half_width * (1 + 0.22 * scene.smile - 0.2 * min(scene.mouth_open, 0.6))
    return width, identity.mouth_height - 0.2 * scene.smile + 0.35 * scene.mouth_open


def _mouth_outlines(identity: Identity, scene: Scene) -> Outlines:
    """Lips, opening and teeth; every outline runs from the person's right corner to the left."""
    t = np.linspace(-1, 1, 17)
    bow = (1 - t**2) ** 0.7
    corner_u, corner_v = _mouth_corner(identity, scene)
    u, v = corner_u * t, identity.mouth_height + (corner_v - identity.mouth_height) * t**2
    cupid = 1 - 0.28 * np.exp(-((t / 0.16) ** 2))
    lip = identity.lip_thickness * (1 - 0.3 * scene.smile)
    opening = scene.mouth_open * bow
    teeth = np.minimum(0.22 * bow, opening)
    beard_t = np.linspace(-1, 1, 9)
    return {
        "upper_lip": _outline(u, v - lip * bow * cupid),
        "upper_lip_inside": _outline(u, v),
        "lower_lip_inside": _outline(u, v, opening),
        "lower_lip": _outline(u, v + 1.25 * lip * bow, opening),
        "teeth": _outline(u, v, teeth),
        "moustache_top": _outline(1.12 * corner_u * beard_t, identity.mouth_height - 0.42 + 0.5 * beard_t**2),
        "moustache_bottom": _outline(
            1.12 * corner_u * beard_t, identity.mouth_height - 0.85 * lip + 0.5 * beard_t**2
        ),
        "chin_groove": _outline(0.3 * t, identity.mouth_height + 0.5, scene.mouth_open),
    }


def _middle(outline: Array) -> Array:
    return outline[len(outline) // 2]
