"""Paints a turned and lit 3-D head as a 96x96 grey photograph and gives its 15 points.

The face is painted on two planes at twice the size, albedo and light, whose product is the picture.
"""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from fkd.core.keypoints import IMAGE_SIZE_PX
from fkd.data.synthetic.face_model import (
    SIDES,
    Array,
    Identity,
    Outlines,
    Scene,
    head_mesh,
    head_outlines,
    keypoints_of,
    map_outlines,
    project,
    rotation,
)

SUPERSAMPLING = 2
CANVAS_PX = SUPERSAMPLING * IMAGE_SIZE_PX
LIT = 170  # grey value of the light plane that leaves an albedo as it is
STRAND_TONES = 8
SHIFT_BITS = 4  # OpenCV's fixed-point coordinates: sixteenths of a canvas pixel

Plane = npt.NDArray[np.uint8]
Placing = Callable[[Array], Array]


def draw_face(
    identity: Identity, scene: Scene, rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """One face as uint8 (96, 96) and its points as float32 pixels (15, 2); `rng` strews the rest."""
    flat = map_outlines(lambda points: project(points, scene), head_outlines(identity, scene))
    scale, shift = _framing(keypoints_of(flat), scene)

    def to_canvas(points: Array) -> Array:
        # A pixel of the picture covers a block of canvas pixels; both have their centres at whole numbers.
        return SUPERSAMPLING * (points * scale + shift) + (SUPERSAMPLING - 1) / 2

    unit_px = SUPERSAMPLING * scale
    curves = map_outlines(to_canvas, flat)
    albedo = _background(scene, rng)
    light = np.full_like(albedo, LIT)
    _paint_behind(albedo, light, identity, scene, curves, to_canvas)
    _paint_skin(albedo, light, identity, scene, to_canvas, rng)
    for side, _ in SIDES:
        _paint_eye(albedo, light, identity, curves, side, unit_px)
        _paint_brow(albedo, identity, curves[f"{side}_brow"], rng)
    _paint_nose(albedo, light, identity, scene, curves, unit_px)
    _paint_mouth(albedo, identity, scene, curves)
    _paint_moustache(albedo, identity, curves)
    _paint_glasses(albedo, identity, curves)
    picture = cv2.multiply(albedo, light, scale=1 / LIT).astype(np.uint8)
    _paint_occluder(picture, identity, scene, curves, unit_px, rng)
    return _photograph(picture, scene, rng), (keypoints_of(flat) * scale + shift).astype(np.float32)


def _framing(keypoints: Array, scene: Scene) -> tuple[float, Array]:
    """Scale and shift that put the box round the points at the scene's place and size in the picture."""
    low, high = keypoints.min(axis=0), keypoints.max(axis=0)
    width, height = high - low
    scale = scene.size_px / max(width, 1.17 * height)
    return scale, np.array(scene.centre_px) - scale * (low + high) / 2


# Brushes


def _fixed(points: Array) -> npt.NDArray[np.int32]:
    return np.rint(points * (1 << SHIFT_BITS)).astype(np.int32)


def _fill(plane: Plane, polygon: Array, value: float) -> None:
    cv2.fillPoly(plane, [_fixed(polygon)], value, cv2.LINE_AA, SHIFT_BITS)


def _blend(plane: Plane, value: float | Plane, mask: Plane, alpha: float, box: tuple[slice, slice]) -> None:
    """Mix `value` into the plane's box by the mask (0-255, of the plane's size) times alpha."""
    share = mask[box] * np.float32(alpha / 255)
    target = value[box] if isinstance(value, np.ndarray) else np.float32(value)
    plane[box] = np.clip(plane[box] + (target - plane[box].astype(np.float32)) * share + 0.5, 0, 255)


def _box(points: Array, margin: float) -> tuple[slice, slice]:
    x, y, width, height = cv2.boundingRect(points.astype(np.float32))
    reach = int(margin) + 1
    rows = slice(max(y - reach, 0), max(y + height + reach, 0))
    return rows, slice(max(x - reach, 0), max(x + width + reach, 0))


def _wash(plane: Plane, polygon: Array, value: float, alpha: float = 1.0, soft: float = 0.0) -> None:
    """Fill a polygon with see-through paint whose edge is blurred by `soft` canvas pixels."""
    box = _box(polygon, 3 * soft + 2)
    mask = np.zeros_like(plane)
    _fill(mask, polygon, 255)
    if soft and mask[box].size:
        mask[box] = cv2.GaussianBlur(mask[box], (0, 0), soft)
    _blend(plane, value, mask, alpha, box)


def _stroke(
    plane: Plane, line: Array, value: float, width: int, alpha: float = 1.0, soft: float = 0.0
) -> None:
    box = _box(line, width + 3 * soft + 2)
    mask = np.zeros_like(plane)
    cv2.polylines(mask, [_fixed(line)], False, 255, width, cv2.LINE_AA, SHIFT_BITS)
    if soft and mask[box].size:
        mask[box] = cv2.GaussianBlur(mask[box], (0, 0), soft)
    _blend(plane, value, mask, alpha, box)


def _strokes(plane: Plane, lines: list[Array], value: float, width: int = 1) -> None:
    cv2.polylines(plane, [_fixed(line) for line in lines], False, value, width, cv2.LINE_AA, SHIFT_BITS)


# Head


def _background(scene: Scene, rng: np.random.Generator) -> Plane:
    """A gradient with blurred boxes, discs and lines."""
    ramp = np.linspace(*scene.background, CANVAS_PX)
    across = ramp if rng.random() < 0.5 else ramp[:, None]
    plane = np.clip(np.broadcast_to(across, (CANVAS_PX, CANVAS_PX)), 0, 255).astype(np.uint8)
    for _ in range(scene.clutter):
        x, y, x2, y2 = (int(value) for value in rng.integers(0, CANVAS_PX, 4))
        tone = int(rng.integers(0, 256))
        shape = rng.integers(3)
        if shape == 0:
            cv2.rectangle(plane, (x, y), (x2, y2), tone, -1)
        elif shape == 1:
            cv2.circle(plane, (x, y), 8 + x2 // 6, tone, -1)
        else:
            cv2.line(plane, (x, y), (x2, y2), tone, 2 + y2 // 16)
    return cv2.blur(plane, (7, 7)).astype(np.uint8) if scene.clutter else plane


def _paint_behind(
    albedo: Plane, light: Plane, identity: Identity, scene: Scene, curves: Outlines, to_canvas: Placing
) -> None:
    """What the head hides: shoulders, neck, long hair and ears."""

    def place(points: list[list[float]] | Array) -> Array:
        return to_canvas(project(np.array(points, float), scene))

    clothes = place([[-5, 9, -2], [-4, 5.3, -2], [0, 4.6, -1.6], [4, 5.3, -2], [5, 9, -2]])
    _fill(albedo, clothes, identity.iris + 40)
    if identity.long_hair:
        half = identity.half_width
        u, v = np.array([-half, half, half + 0.5, half + 0.5, -half - 0.5, -half - 0.5]), [-2, -2, 1, 5, 5, 1]
        _fill(albedo, place(np.stack([u, v, np.full(6, -2)], axis=-1)), identity.hair)
    chest = 5 + scene.mouth_open
    neck = place([[-1.3, 1.8, -1.8], [1.3, 1.8, -1.8], [1.4, chest, -1.6], [-1.4, chest, -1.6]])
    _fill(albedo, neck, identity.skin)
    _fill(light, neck, 0.5 * LIT)
    for side_name, _ in SIDES:
        ear = curves[f"{side_name}_ear"]
        _fill(albedo, ear, identity.skin)
        _fill(light, ear, 0.75 * LIT)
        _stroke(light, ear[4:11], 0.5 * LIT, 2, 0.6, 1)


def _paint_skin(
    albedo: Plane,
    light: Plane,
    identity: Identity,
    scene: Scene,
    to_canvas: Placing,
    rng: np.random.Generator,
) -> None:
    """Head and hair as a mesh of small flat quads, painted from the farthest to the nearest."""
    points, hair = head_mesh(identity, scene)
    turned = points @ rotation(scene).T
    grid = to_canvas(project(points, scene))
    tone = identity.skin + hair * (identity.hair - identity.skin)
    tone = tone * (1 - 0.45 * identity.beard * _stubble(identity, points))
    glow = _shading(turned, scene, hair)
    corners = [np.s_[:-1, :-1], np.s_[:-1, 1:], np.s_[1:, 1:], np.s_[1:, :-1]]
    quads = np.stack([grid[corner] for corner in corners], axis=2).reshape(-1, 4, 2)
    values = np.stack([tone, LIT * glow, turned[..., 2]], axis=-1)
    values = np.mean([values[corner] for corner in corners], axis=0).reshape(-1, 3)
    (ax, ay), (bx, by) = (quads[:, 2] - quads[:, 0]).T, (quads[:, 3] - quads[:, 1]).T
    inside = (quads.max(axis=1) > 0).all(axis=1) & (quads.min(axis=1) < CANVAS_PX).all(axis=1)
    seen = np.flatnonzero((ax * by > ay * bx) & inside)
    seen = seen[np.argsort(values[seen, 2], kind="stable")]
    planes = cv2.merge([albedo, light])
    colours = np.clip(values[seen, :2], 0, 255).tolist()
    for quad, colour in zip(_fixed(quads[seen]), colours, strict=True):
        cv2.fillConvexPoly(planes, quad, colour, cv2.LINE_8, SHIFT_BITS)
    for plane, channel, softness in ((albedo, 0, 1.3), (light, 1, 2.3)):
        plane[:] = cv2.GaussianBlur(cv2.extractChannel(planes, channel), (0, 0), softness)
    _comb(albedo, identity, grid, hair * (turned[..., 2] > -2.4), rng)


def _shading(turned: Array, scene: Scene, hair: Array) -> Array:
    """Lambert's law with ambient light and a dull highlight, about 1 where the light falls straight."""
    normals = np.cross(np.gradient(turned, axis=1), np.gradient(turned, axis=0))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-9
    towards = np.array(scene.light) / np.linalg.norm(scene.light)
    half_way = towards + np.array([0, 0, 1])
    half_way /= np.linalg.norm(half_way)
    diffuse = np.maximum(normals @ towards, 0)
    highlight = 0.3 * np.maximum(normals @ half_way, 0) ** 14 * (1 - 0.7 * hair)
    up = 0.85 - 0.15 * normals[..., 1]
    return scene.ambient * up + (1 - scene.ambient) * (1.05 * diffuse + highlight)


def _stubble(identity: Identity, points: Array) -> Array:
    """Where a beard grows, in [0, 1]: jaw, chin and upper lip, not the cheeks."""
    u, v = np.abs(points[..., 0]), points[..., 1]
    edge = identity.nose_length + 0.55 - 0.25 * np.clip(u - 1.2, 0, 1)
    return np.clip((v - edge) / 0.4, 0, 1)


def _comb(albedo: Plane, identity: Identity, grid: Array, hair: Array, rng: np.random.Generator) -> None:
    """Strands along the hair, from the crown to the hairline."""
    columns = np.repeat(np.arange(2, grid.shape[1] - 3), 4)
    left, right = grid[:, columns], grid[:, columns + 1]
    strands = _fixed(left + rng.random((len(columns), 1)) * (right - left))
    covered = hair[:, columns] > rng.uniform(0.05, 0.9, len(columns))
    for tone in identity.hair + rng.uniform(-18, 28, STRAND_TONES):
        chosen = rng.integers(0, len(columns), len(columns) // STRAND_TONES)
        lines = [strands[covered[:, strand], strand] for strand in chosen]
        cv2.polylines(albedo, lines, False, tone, 1, cv2.LINE_AA, SHIFT_BITS)


# Features


def _paint_eye(
    albedo: Plane, light: Plane, identity: Identity, curves: Outlines, side: str, unit_px: float
) -> None:
    upper, lower = curves[f"{side}_upper_lid"], curves[f"{side}_lower_lid"]
    skin = identity.skin
    _stroke(albedo, curves[f"{side}_crease"], 0.55 * skin, 2, 0.6, 0.7)
    _stroke(albedo, curves[f"{side}_bag"], 0.65 * skin, 2, 0.25 + 0.4 * identity.wrinkles, 1.2)
    eyeball = np.concatenate([upper, lower[::-1]])
    box, mask = _box(eyeball, 2), np.zeros_like(albedo)
    _fill(mask, eyeball, 255)
    inside = np.full_like(albedo, 0.3 * skin + 165)
    iris, pupil = curves[f"{side}_iris"], curves[f"{side}_pupil"]
    _fill(inside, iris, identity.iris)
    _strokes(inside, [np.concatenate([iris, iris[:1]])], 0.5 * identity.iris)
    _fill(inside, pupil, 8)
    _blend(albedo, inside, mask, 1.0, box)
    glint = pupil.mean(axis=0) + 0.06 * unit_px * np.array([1, -1])
    if mask[tuple(np.clip(glint[::-1], 0, CANVAS_PX - 1).astype(int))] == 255:
        _wash(albedo, glint + 0.035 * unit_px * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]), 250, 0.9)
    _stroke(albedo, lower, 0.5 * skin, 1, 0.7)
    _stroke(albedo, upper, 0.15 * skin, 2, 0.95)
    shade = np.concatenate([upper, upper[::-1] + np.array([0, 0.09 * unit_px])])
    _wash(light, shade, 0.4 * LIT, 0.5, 0.8)


def _paint_brow(albedo: Plane, identity: Identity, line: Array, rng: np.random.Generator) -> None:
    along = np.gradient(line, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=-1) / np.linalg.norm(along, axis=1, keepdims=True)
    length = np.linalg.norm(line[-1] - line[0])
    half = identity.brow_thickness * 0.5 * length * np.linspace(1, 0.25, len(line))[:, None]
    tone = min(identity.hair + 10, 0.62 * identity.skin)
    _wash(albedo, np.concatenate([line + across * half, (line - across * half)[::-1]]), tone, 0.85, 0.7)
    starts = rng.integers(0, len(line) - 1, 10)
    lean = rng.uniform(-1, 1, (10, 1)) * across[starts] * half[starts]
    _strokes(albedo, list(np.stack([line[starts] + lean, line[starts + 1] - lean], axis=1)), 0.8 * tone)


def _paint_nose(
    albedo: Plane, light: Plane, identity: Identity, scene: Scene, curves: Outlines, unit_px: float
) -> None:
    base = curves["nose_base"]
    thrown = np.array([-scene.light[0], 0.5 - 0.5 * scene.light[1]]) * 0.35 * unit_px
    _wash(light, np.concatenate([base, base[::-1] + thrown]), 0.45 * LIT, 0.6 * (1 - scene.ambient) + 0.15, 2)
    _stroke(albedo, base, 0.5 * identity.skin, 2, 0.5, 1)
    for side, sign in SIDES:
        seen = float(np.clip(1.2 - 2.4 * sign * np.sin(scene.yaw), 0, 1))  # the nose hides its far side
        _stroke(albedo, curves[f"{side}_wing"], 0.5 * identity.skin, 2, 0.55 * seen, 0.8)
        _wash(albedo, curves[f"{side}_nostril"], 0.15 * identity.skin, 0.85 * seen, 0.6)
        fold_alpha = 0.15 + 0.4 * identity.wrinkles + 0.35 * scene.smile
        _stroke(albedo, curves[f"{side}_fold"], 0.55 * identity.skin, 2, min(fold_alpha, 0.8), 1.4)
    tip = curves["nose_tip"][0] + np.array([scene.light[0], -0.3]) * 0.12 * unit_px
    shine = 0.09 * unit_px * np.array([[-1, 0], [0, -1], [1, 0], [0, 1]])
    _wash(albedo, tip + shine, min(255, identity.skin + 45), 0.6, 1.5)


def _paint_mouth(albedo: Plane, identity: Identity, scene: Scene, curves: Outlines) -> None:
    upper, upper_inside = curves["upper_lip"], curves["upper_lip_inside"]
    lower, lower_inside = curves["lower_lip"], curves["lower_lip_inside"]
    if scene.mouth_open > 0.03:
        _fill(albedo, np.concatenate([upper_inside, lower_inside[::-1]]), 25)
        _wash(albedo, np.concatenate([upper_inside, curves["teeth"][::-1]]), 225, 0.3 + 0.7 * scene.smile)
    _wash(albedo, np.concatenate([upper, upper_inside[::-1]]), 0.88 * identity.lips, 0.95)
    _wash(albedo, np.concatenate([lower_inside, lower[::-1]]), identity.lips, 0.95)
    middle = slice(len(lower) // 3, -(len(lower) // 3))
    _stroke(albedo, (0.5 * lower + 0.5 * lower_inside)[middle], min(255, identity.lips + 45), 2, 0.5, 1)
    _stroke(albedo, upper_inside, 0.3 * identity.lips, 1, 0.9)
    _stroke(albedo, lower[3:-3], 0.5 * identity.skin, 2, 0.4, 1)
    _stroke(albedo, curves["chin_groove"], 0.6 * identity.skin, 3, 0.35, 2)


def _paint_moustache(albedo: Plane, identity: Identity, curves: Outlines) -> None:
    if identity.moustache:
        shape = np.concatenate([curves["moustache_top"], curves["moustache_bottom"][::-1]])
        _wash(albedo, shape, min(identity.hair + 15, 0.7 * identity.skin), 0.85 * identity.moustache, 1)


def _paint_glasses(albedo: Plane, identity: Identity, curves: Outlines) -> None:
    if identity.glasses == "none":
        return
    thickness = 2 if identity.glasses == "wire" else 4
    tone = 60 if identity.glasses == "wire" else 25
    for side, _ in SIDES:
        rim = curves[f"{side}_rim"]
        if identity.glasses == "dark":
            _wash(albedo, rim, 22, 0.93)
        else:
            _wash(albedo, rim, 235, 0.12)
        _stroke(albedo, np.concatenate([rim, rim[:1]]), tone, thickness)
        _stroke(albedo, curves[f"{side}_temple"], tone, thickness)
    _stroke(albedo, curves["bridge"], tone, thickness)


# Camera


def _paint_occluder(
    picture: Plane,
    identity: Identity,
    scene: Scene,
    curves: Outlines,
    unit_px: float,
    rng: np.random.Generator,
) -> None:
    """A hand, an object or a strand of hair before the face."""
    if scene.occluder == "none":
        return
    points = keypoints_of(curves)
    anchor = points[rng.integers(len(points))] + rng.normal(0, 0.4 * unit_px, 2)
    if scene.occluder == "hand":
        _paint_hand(picture, identity, anchor, unit_px, rng)
    elif scene.occluder == "hair":
        along = np.linspace(-2.5, 2, 12)
        bend, phase = rng.uniform(0.1, 0.4), rng.uniform(0, 6)
        strand = anchor + unit_px * np.stack([bend * np.sin(along + phase), along], axis=-1)
        for offset in rng.normal(0, 0.12 * unit_px, 9):
            taper = np.stack([offset * np.linspace(1.3, 0.2, 12), 0 * along], axis=-1)
            _strokes(picture, [strand + taper], identity.hair + rng.uniform(-10, 30))
    else:
        turn = rng.uniform(0, 2 * np.pi)
        along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
        long, wide = rng.uniform(0.4, 0.9, 2)[:, None] * unit_px
        object_ = anchor + np.array(
            [a * long * along + b * wide * across for a, b in ((-1, -1), (9, -1), (9, 1), (-1, 1))]
        )
        _wash(picture, object_, rng.uniform(10, 245), 1, 1)


def _paint_hand(
    picture: Plane, identity: Identity, anchor: Array, unit_px: float, rng: np.random.Generator
) -> None:
    turn = rng.uniform(0.1, 0.9) * np.pi  # the arm comes from below
    reach = np.array([np.cos(turn), np.sin(turn)])
    across = np.array([-reach[1], reach[0]]) * 0.36 * unit_px
    thickness = round(0.36 * unit_px)
    tone = min(identity.skin * rng.uniform(0.7, 1.0), 235)
    for finger in range(4):
        tip = anchor + finger * across + reach * unit_px * (0.15 * abs(finger - 1.4))
        line = np.stack([tip, tip + 6 * unit_px * reach])
        _strokes(picture, [line], 0.5 * tone, thickness + 2)
        _strokes(picture, [line], tone, thickness)
    palm = anchor + 1.5 * across + reach * 1.9 * unit_px
    _strokes(picture, [np.stack([palm, palm + 5 * unit_px * reach])], 0.97 * tone, thickness * 4)


def _photograph(picture: Plane, scene: Scene, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Scale down, blur, expose and add noise."""
    size = (IMAGE_SIZE_PX, IMAGE_SIZE_PX)
    image = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    if scene.blur_px:
        image = cv2.GaussianBlur(image, (0, 0), scene.blur_px)
    noise = scene.noise * rng.standard_normal(size, dtype=np.float32)
    image = (np.float32(image) - 128) * scene.contrast + 128 + scene.brightness + noise
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)
