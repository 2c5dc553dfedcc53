"""Paints a person given by a skeleton over a background, behind hands and objects.

Torso, neck, head and arms are rounded shapes between keypoints, as wide as bodies are, under the
base image's fixed light. It is what the network starts from where a person has no other surface.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.drawing.people.arms import ARM, completed, facing
from manivideo_ros.drawing.skeleton import HAND_LIMBS, LEFT_HAND, RIGHT_HAND, THRESHOLD
from manivideo_ros.geometry import Camera, invert_rigid
from manivideo_ros.hand.reference import HandReference

Array = NDArray[np.floating]
Image = NDArray[np.uint8]

NOSE, NECK, HIPS, EYES, EARS = 0, 1, (8, 11), (14, 15), (16, 17)
CLOTH = np.array([0.36, 0.39, 0.44], np.float32)
"""sRGB of clothes where the hand reference shows no sleeve: a greyish blue."""
HAIR = np.array([0.20, 0.15, 0.12], np.float32)
"""sRGB of hair: dark brown, as most people's."""

# Proportions of adults, metres (after Drillis and Contini, 1966): distances between keypoints.
_SPAN, _TORSO, _UPPER, _FORE, _NOSE = 0.35, 0.50, 0.285, 0.25, 0.21
_NEARER = 1.25  # times by which arms and head may look longer: they are nearer than the shoulders
# Radii and half widths, metres.
_SHOULDER_ROUND, _ELBOW_ROUND, _WRIST_ROUND, _NECK_ROUND, _FINGER = (
    0.056,
    0.045,
    0.030,
    0.055,
    0.0095,
)
_WAIST, _HIP, _BEYOND_SHOULDER = 0.150, 0.172, 0.036
_HEAD_WIDE, _HEAD_HIGH = 0.078, 0.118
_BELOW = 0.27  # metres below the hips at which the torso ends
_BEFORE = 0.14  # metres from a body's middle to what it stands at
_MOST = 40.0  # times the image's size that a metre may have: more is no person


@dataclass(frozen=True, eq=False)
class PersonColours:
    """sRGB [3] in 0..1: skin; cloth of the torso; sleeve: of the arms."""

    skin: NDArray[np.float32]
    cloth: NDArray[np.float32]
    sleeve: NDArray[np.float32]

    @classmethod
    def of(cls, reference: HandReference) -> PersonColours:
        """The colours of a hand reference; without a sleeve arms are bare and the torso CLOTH."""
        skin, _, sleeve = reference.mean_colours()
        return cls(skin, sleeve if reference.sleeved else CLOTH, sleeve)


@dataclass(frozen=True, eq=False)
class Support:
    """The support plane as a camera of the image sees it: normal [3] and offset in its frame."""

    camera: Camera
    normal: NDArray[np.float64]
    offset: float

    @classmethod
    def of(cls, camera: Camera, plane: ArrayLike | None) -> Support | None:
        """The support of a plane [4] in the world; None: unknown."""
        if plane is None:
            return None
        seen_plane = np.asarray(plane, np.float64) @ invert_rigid(camera.camera_from_world)
        return cls(camera, seen_plane[:3], float(seen_plane[3]))

    def height(
        self,
        x: NDArray[np.float32],  # [1, w] pixels
        y: NDArray[np.float32],  # [h, 1] pixels
        scale: float,
    ) -> NDArray[np.float32]:
        """Height [h, w] above the plane, metres, of pixels at the depth of a scale."""
        k, n = np.asarray(self.camera.intrinsics, np.float64), self.normal
        depth = float(k[0, 0]) / scale - _BEFORE
        across = depth * n[0] / k[0, 0] * (x - k[0, 2])
        down = depth * n[1] / k[1, 1] * (y - k[1, 2])
        return np.asarray(across + down + (depth * n[2] + self.offset), np.float32)


def paint_person(
    background: Image,  # [H, W, 3] sRGB
    skeleton: ArrayLike,  # [134, 3] in its pixels
    colours: PersonColours,
    with_hands: Collection[str] = (),
    support: Support | None = None,
    threshold: float = THRESHOLD,
) -> tuple[Image, NDArray[np.float32]]:
    """The person over a copy of the background, and its coverage [H, W] in 0..1.

    with_hands: sides whose hands have poses and so arms of their own; of those only the shoulder's
    round end is painted. support: what hides a torso whose hips are not seen. Parts whose keypoints
    are not seen are left out; hips are continued from the shoulders. Without anything seen, the
    background itself is returned.
    """
    points, there = completed(skeleton, threshold)
    height, width = background.shape[:2]
    scale = pixels_per_metre(points, there)
    if scale is None or scale > _MOST * max(height, width):
        return background, np.zeros((height, width), np.float32)
    canvas = _Canvas(background)
    body = _Body(points, there, scale)
    front = facing(points, there) is not False
    _shoulders(canvas, body, colours)
    if not front:
        _arms(canvas, body, colours, with_hands)
    _torso(canvas, body, colours, support)
    _head(canvas, body, colours)
    if front:
        _arms(canvas, body, colours, with_hands)
    return canvas.image, canvas.coverage


def pixels_per_metre(points: Array, there: NDArray[np.bool_]) -> float | None:
    """How large the person is in the image; None without a limb.

    Distances look shorter the more they lead to the camera: the largest of them counts.
    """
    hips = [i for i in HIPS if there[i]]
    lengths = [
        (2, 5, _SPAN), (1, 2, _SPAN / 2), (1, 5, _SPAN / 2),
        (2, 3, _NEARER * _UPPER), (5, 6, _NEARER * _UPPER),
        (3, 4, _NEARER * _FORE), (6, 7, _NEARER * _FORE), (0, 1, _NEARER * _NOSE),
    ]  # fmt: skip
    found = [
        np.hypot(*(points[a, :2] - points[b, :2])) / length
        for a, b, length in lengths
        if there[a] and there[b]
    ]
    if there[1] and hips:
        found.append(np.hypot(*(points[1, :2] - points[hips, :2].mean(0))) / _TORSO)
    if not found:
        for hand in (LEFT_HAND, RIGHT_HAND):
            if there[hand][[0, 9]].all():
                first, second = points[hand][[0, 9], :2]
                found.append(np.hypot(*(first - second)) / 0.09)
    scale = max(found, default=0.0)
    return float(scale) if scale > 0 else None


class _Body:
    """The keypoints of a person."""

    def __init__(self, points: Array, there: NDArray[np.bool_], scale: float) -> None:
        self.points, self.there, self.scale = points[:, :2], there, scale

    def known(self, *names: int) -> bool:
        """Whether all these keypoints are known."""
        return bool(self.there[list(names)].all())


class _Canvas:
    """An image that shapes are painted over, one after the other."""

    def __init__(self, background: Image) -> None:
        self.image = background.copy()
        self.coverage: NDArray[np.float32] = np.zeros(background.shape[:2], np.float32)

    def _window(self, low: Array, high: Array) -> tuple[slice, slice] | None:
        height, width = self.coverage.shape
        left, top = max(int(np.floor(low[0] - 1)), 0), max(int(np.floor(low[1] - 1)), 0)
        right, bottom = min(int(high[0] + 2), width), min(int(high[1] + 2), height)
        return (slice(top, bottom), slice(left, right)) if right > left and bottom > top else None

    def _blend(
        self,
        window: tuple[slice, slice],
        alpha: Array,  # [h, w] float32
        colour: Array,  # [3]
        shade: Array,  # [h, w]
    ) -> None:
        part, cover = self.image[window], self.coverage[window]
        clear = 1 - alpha
        tinted = cv2.merge([cv2.convertScaleAbs(shade, alpha=255 * float(c)) for c in colour])
        part[:] = cv2.blendLinear(np.ascontiguousarray(part), tinted, clear, alpha)
        cover *= clear
        cover += alpha

    def limb(self, a: Array, b: Array, first: float, last: float, colour: Array) -> None:
        """A round, tapered limb from a [2] to b [2] with radii in pixels."""
        most = max(first, last)
        window = self._window(np.minimum(a, b) - most, np.maximum(a, b) + most)
        if window is None:
            return
        x, y = _grid(window)
        along = (b - a).astype(np.float32)
        length = max(float(along @ along), 1e-6)
        dx, dy = x - np.float32(a[0]), y - np.float32(a[1])
        t = np.clip((dx * along[0] + dy * along[1]) / np.float32(length), 0, 1)
        dx, dy = dx - t * along[0], dy - t * along[1]
        radius = np.float32(first) + t * np.float32(last - first)
        distance = np.sqrt(dx * dx + dy * dy)
        alpha = np.clip(radius - distance + 0.5, 0, 1)
        self._blend(window, alpha, colour, _lit(dx / radius, dy / radius))

    def fingers(
        self, lines: Sequence[tuple[Array, Array, float]], radius: float, colour: Array
    ) -> None:
        """Thin limbs (ends [2] and share of a radius in pixels), darker at their outlines."""
        if not lines:
            return
        ends = np.array([end for line in lines for end in line[:2]])
        window = self._window(ends.min(0) - 2 * radius, ends.max(0) + 2 * radius)
        if window is None:
            return
        corner = np.array([window[1].start, window[0].start]) + 0.5
        shape = window[0].stop - window[0].start, window[1].stop - window[1].start
        for width, shade in ((2.0, 0.78), (1.1, 0.97)):
            mask = np.zeros(shape, np.uint8)
            for start, end, share in lines:
                at = np.round(16 * (np.array([start, end]) - corner)).astype(int).tolist()
                thick = max(1, round(width * share * radius))
                cv2.line(mask, at[0], at[1], 255, thick, cv2.LINE_AA, 4)
            alpha = mask.astype(np.float32) / 255
            self._blend(window, alpha, colour, np.full_like(alpha, shade))

    def ellipse(
        self, centre: Array, up: Array, wide: float, high: float, colour: Array, edge: float = 1.0
    ) -> None:
        """An ellipsoid; up [2]: unit direction of its axis; edge: softness of its outline."""
        reach = max(wide, high)
        window = self._window(centre - reach, centre + reach)
        if window is None:
            return
        x, y = _grid(window)
        dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
        across = (dx * np.float32(-up[1]) + dy * np.float32(up[0])) / np.float32(wide)
        along = (dx * np.float32(up[0]) + dy * np.float32(up[1])) / np.float32(high)
        distance = np.sqrt(across * across + along * along)
        alpha = np.clip((1 - distance) * np.float32(min(wide, high) / edge) + 0.5, 0, 1)
        nx = np.float32(-up[1]) * across + np.float32(up[0]) * along
        ny = np.float32(up[0]) * across + np.float32(up[1]) * along
        self._blend(window, alpha, colour, _lit(nx, ny))

    def polygon(
        self,
        outline: Array,  # [N, 2]
        side: Array,  # [2] unit
        middle: Array,  # [2]
        half: float,
        colour: Array,
        support: Support | None = None,
        scale: float = 1.0,
    ) -> None:
        """A filled outline, rounded across: along `side`, by the half width at its middle.

        support: below which it is hidden, at the depth of a scale in pixels per metre.
        """
        window = self._window(outline.min(0), outline.max(0))
        if window is None:
            return
        corner = np.array([window[1].start, window[0].start])
        shape = window[0].stop - window[0].start, window[1].stop - window[1].start
        mask = np.zeros(shape, np.uint8)
        fine = np.round(16 * (outline - corner - 0.5)).astype(np.int32)
        cv2.fillPoly(mask, [fine], 255, cv2.LINE_AA, 4)
        x, y = _grid(window)
        dx, dy = x - np.float32(middle[0]), y - np.float32(middle[1])
        across = (dx * np.float32(side[0]) + dy * np.float32(side[1])) / np.float32(1.1 * half)
        across = np.clip(across, -0.95, 0.95)
        shade = _lit(across * np.float32(side[0]), across * np.float32(side[1]))
        alpha = mask.astype(np.float32) / 255
        if support is not None:
            alpha *= np.clip(scale * support.height(x, y, scale) + 0.5, 0, 1)
        self._blend(window, alpha, colour, shade)


def _grid(window: tuple[slice, slice]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The centres of a window's pixels: x [1, w] and y [h, 1]."""
    rows, columns = window
    x = np.arange(columns.start, columns.stop, dtype=np.float32) + 0.5
    y = np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5
    return x[None], y[:, None]


def _lit(nx: Array, ny: Array) -> NDArray[np.float32]:
    """How bright a round surface is whose normal has these image components; 1 where it is lit.

    From above and in front, the same from left and right: mirrored people look mirrored.
    """
    nz = np.sqrt(np.maximum(1 - nx * nx - ny * ny, 0))
    return np.asarray(0.55 + 0.42 * nz - 0.16 * ny, np.float32)


def _torso(canvas: _Canvas, body: _Body, colours: PersonColours, support: Support | None) -> None:
    if not body.known(2, 5, NECK):
        return
    at, m = body.points, body.scale
    right, left, neck = at[2], at[5], at[NECK]
    middle = 0.5 * (right + left)
    hips = [i for i in HIPS if body.there[i]]
    side = left - right
    span = float(np.hypot(*side))
    # Seen from the side, shoulders coincide, but a body has a depth.
    turned = min(span / (_SPAN * m), 1.0)
    side = side / span if span > 1e-3 else np.array([1.0, 0.0])
    down = -upwards(body)
    if len(hips) == 2:
        hip = at[list(HIPS)].mean(0)
    elif hips:
        own = 2 if hips[0] == HIPS[0] else 5
        hip = middle + (at[hips[0]] - at[own])
    else:
        hip = middle + _TORSO * m * down
    axis = hip - middle
    length = max(float(np.hypot(*axis)), 1e-3)
    axis = axis / length
    across = np.array([axis[1], -axis[0]])
    across = across if across @ side > 0 else -across
    narrow = 0.62 + 0.38 * turned  # depth of a body relative to its width
    shoulder = 0.5 * span + _BEYOND_SHOULDER * m
    waist, hipped = _WAIST * narrow * m, _HIP * narrow * m
    bottom = hip + _BELOW * m * axis
    slope = 0.045 * m  # shoulders are lower than the neck
    base = neck - 0.068 * m * axis

    def pair(centre: Array, half: float) -> list[Array]:
        return [centre + half * across, centre - half * across]

    tops = [left, right] if (left - middle) @ across > 0 else [right, left]
    rows = [
        pair(base, 0.055 * m),
        pair(base + 0.035 * m * axis, 0.105 * m),
        [tops[0] - slope * axis, tops[1] - slope * axis],
        [tops[0] + _BEYOND_SHOULDER * m * across - 0.1 * slope * axis,
         tops[1] - _BEYOND_SHOULDER * m * across - 0.1 * slope * axis],
        pair(middle + 0.32 * length * axis, max(0.86 * shoulder, waist)),
        pair(middle + 0.66 * length * axis, waist),
        pair(hip, hipped),
        pair(bottom, hipped),
    ]  # fmt: skip
    outline = _rounded(np.array([r[0] for r in rows] + [r[1] for r in rows[::-1]]))
    hides = None if hips else support
    canvas.polygon(outline, across, middle, max(shoulder, waist), colours.cloth, hides, m)


def upwards(body: _Body) -> Array:
    """The unit direction [2] from the shoulders to the head."""
    side = body.points[5] - body.points[2]
    length = max(float(np.hypot(*side)), 1e-3)
    up = np.array([side[1], -side[0]]) / length
    return up if up[1] <= 0 else -up


def _rounded(corners: Array) -> Array:
    """A closed outline through corners [N, 2] by Chaikin's corner cutting, twice."""
    for _ in range(2):
        following = np.roll(corners, -1, 0)
        cut = np.stack([0.75 * corners + 0.25 * following, 0.25 * corners + 0.75 * following], 1)
        corners = cut.reshape(-1, 2)
    return corners


def _head(canvas: _Canvas, body: _Body, colours: PersonColours) -> None:
    at, m, ok = body.points, body.scale, body.there
    ears = [i for i in EARS if ok[i]]
    eyes = [i for i in EYES if ok[i]]
    if not ok[NECK]:
        return
    if not (ok[NOSE] or len(ears) == 2 or eyes):
        if body.known(2, 5):
            up = upwards(body)
            ends = at[NECK] + 0.05 * m * up, at[NECK] + 0.12 * m * up
            canvas.limb(*ends, _NECK_ROUND * m, 0.9 * _NECK_ROUND * m, 0.93 * colours.skin)
        return
    if len(ears) == 2:
        centre = at[list(EARS)].mean(0)
    elif ok[NOSE]:
        # One ear or none: the face is turned to the side of the nose.
        centre = at[NOSE] if not ears else 0.45 * at[NOSE] + 0.55 * at[ears[0]]
    else:
        centre = at[eyes].mean(0)
    up = centre - at[NECK]
    up = up / max(float(np.hypot(*up)), 1e-3)
    centre = centre + 0.008 * m * up
    wide, high = _HEAD_WIDE * m, _HEAD_HIGH * m
    canvas.limb(
        at[NECK] + 0.05 * m * up,
        centre - 0.06 * m * up,
        _NECK_ROUND * m,
        0.9 * _NECK_ROUND * m,
        0.93 * colours.skin,
    )
    canvas.ellipse(centre + 0.008 * m * up, up, 1.06 * wide, 1.06 * high, HAIR)
    if not (ok[NOSE] or eyes):
        return  # the back of the head
    look = at[NOSE] if ok[NOSE] else at[eyes].mean(0)
    aside = np.array([-up[1], up[0]])
    turn = float((look - centre) @ aside)
    turn = float(np.clip(turn, -0.45 * wide, 0.45 * wide))
    face = centre + 0.7 * turn * aside - 0.030 * m * up
    canvas.ellipse(face, up, 0.90 * wide, 0.80 * high, colours.skin, edge=max(0.012 * m, 1.0))
    for eye in eyes:
        if np.hypot(*(at[eye] - face)) > 0.7 * wide:
            continue  # beyond the face's outline
        canvas.ellipse(at[eye], up, 0.014 * m, 0.009 * m, 0.3 * HAIR + 0.2 * colours.skin, edge=1.5)


def _shoulders(canvas: _Canvas, body: _Body, colours: PersonColours) -> None:
    """The round ends that join torso and arms, also where an arm is a hand's mesh."""
    for shoulder, _, _ in ARM.values():
        if body.known(shoulder, NECK):
            tip, radius = body.points[shoulder], _SHOULDER_ROUND * body.scale
            canvas.limb(tip, tip, radius, radius, colours.cloth)


def _arms(
    canvas: _Canvas, body: _Body, colours: PersonColours, with_hands: Collection[str]
) -> None:
    at, m = body.points, body.scale
    for side, (shoulder, elbow, wrist) in ARM.items():
        if side in with_hands:
            continue
        if body.known(shoulder, elbow):
            ends = at[shoulder], at[elbow], _SHOULDER_ROUND * m, _ELBOW_ROUND * m
            canvas.limb(*ends, colours.sleeve)
        if body.known(elbow, wrist):
            ends = at[elbow], at[wrist], _ELBOW_ROUND * m, _WRIST_ROUND * m
            canvas.limb(*ends, colours.sleeve)
        _hand(canvas, body, LEFT_HAND if side == 'left' else RIGHT_HAND, colours)


def _hand(canvas: _Canvas, body: _Body, hand: slice, colours: PersonColours) -> None:
    """Palm and fingers of a hand that has no pose, in the colour of skin."""
    at, ok = body.points[hand], body.there[hand]
    if ok[[0, 5, 17]].all():
        palm = cv2.convexHull(at[[i for i in (0, 1, 5, 9, 13, 17) if ok[i]]].astype(np.float32))
        outline = palm[:, 0].astype(np.float64)
        across = at[17] - at[5]
        half = max(0.5 * float(np.hypot(*across)), 1.0)
        side = across / max(float(np.hypot(*across)), 1e-3)
        canvas.polygon(outline, side, outline.mean(0), 1.4 * half, colours.skin)
    lines = [
        (at[first], at[second], (1.0 if first == 0 else 1.06 - 0.06 * ((second - 1) % 4)))
        for first, second in HAND_LIMBS
        if ok[first] and ok[second]
    ]
    canvas.fingers(lines, _FINGER * body.scale, colours.skin)
