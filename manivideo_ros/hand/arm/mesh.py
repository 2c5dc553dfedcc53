"""Adds a sleeved arm to a hand mesh that ends in an open wrist loop.

Hand models end at the wrist. A hand without forearm looks wrong, and hand detectors miss it. At
rest the arm is straight; `arm_bones` turns and stretches it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.hand.arm.bones import FOREARM, arm_axis
from manivideo_ros.hand.partition import SLEEVE

if TYPE_CHECKING:
    from manivideo_ros.hand.model import HandModel

# Rings of the arm: metres beyond the wrist loop, and metres outwards from it. The sleeve's edge is
# between CUFF - 1 and CUFF, so close that no teeth of it are seen; the forearm is thickest below
# the elbow, and round there.
RINGS = np.array(
    [
        [0.006, 0.0000],
        [0.013, 0.0003],
        [0.0131, 0.0003],
        [0.0135, 0.0022],
        [0.0150, 0.0031],
        [0.0185, 0.0034],
        [0.028, 0.0036],
        [0.045, 0.0046],
        [0.070, 0.0068],
        [0.097, 0.0092],
        [0.125, 0.0110],
        [0.155, 0.0128],
        [0.185, 0.0140],
        [0.210, 0.0140],
        [0.228, 0.0132],
        [0.244, 0.0128],
        [0.260, 0.0130],
        [0.280, 0.0140],
        [0.320, 0.0165],
        [0.400, 0.0190],
        [0.540, 0.0200],
    ]
)
CUFF = 2  # the first ring of cloth
NEAR = 11  # rings near the hand
NEAR_REACH = 0.14
"""Metres beyond the wrist up to which a straight arm counts as beside the hand."""
BARE = (0.0131, 0.125), (0.0003, 0.0095)
"""Of a bare forearm: distances beyond the wrist loop, and its growth outwards at them, metres."""
# Where the weight passes from the wrist to the forearm and from there to the upper arm: metres
# beyond the wrist loop and beyond the wrist.
_WRIST, _ELBOW = (0.0, 0.045), (FOREARM - 0.045, FOREARM + 0.045)
# The arm's area of the skin texture (u0, u1, v0, v1), which the hand's chart does not use.
SLEEVE_CHART = (0.54, 0.985, 0.015, 0.315)
SLEEVE_CHART_EDGE = 0.27  # share of its height with skin; the rest is cloth


def wrist_loop(
    faces: NDArray[np.integer], vertices: NDArray[np.floating], wrist: NDArray[np.floating]
) -> NDArray[np.int64]:
    """Vertices of the open boundary nearest to the wrist [3], in the order of its half-edges.

    The first is the one with the lowest index, so that mirrored hands get mirrored forearms.

    Raises ValueError if the mesh has no open boundary.
    """
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)
    keys = edges[:, 0] * len(vertices) + edges[:, 1]
    reverse = edges[:, 1] * len(vertices) + edges[:, 0]
    following = {int(a): int(b) for a, b in edges[~np.isin(keys, reverse)]}
    loops = []
    while following:
        start, vertex = next(iter(following.items()))
        loop = [start]
        del following[start]
        while vertex in following:
            loop.append(vertex)
            vertex = following.pop(vertex)
        loops.append(np.array(loop))
    loops = [loop for loop in loops if len(loop) >= 5]
    if not loops:
        raise ValueError('hand mesh: no open wrist loop to attach a forearm to')
    nearest = min(loops, key=lambda loop: np.linalg.norm(vertices[loop].mean(0) - wrist))
    return np.roll(nearest, -int(nearest.argmin()))


def attach_forearm(hand: HandModel) -> HandModel:
    """The hand with a sleeved arm and a cap attached to its wrist loop.

    New vertices follow the wrist (weight 1) as far as forearm and upper arm (arm_weights) do not
    take its place, with the shape directions of their loop vertex; no joint moves. The arm belongs
    to the palm's layer; beyond the cuff its vertices are `sleeve`.
    """
    v = hand.v_template.astype(np.float64)
    joints = hand.J_regressor.astype(np.float64) @ v
    loop = wrist_loop(hand.faces, v, joints[0])
    turned = loop[1] > loop[-1]  # same direction for both hands; triangles are flipped below
    if turned:
        loop = np.roll(loop[::-1], 1)
    count, base = len(loop), len(v)
    axis = arm_axis(hand)
    centre = v[loop].mean(0)
    height = (v[loop] - centre) @ axis
    radial = v[loop] - centre - height[:, None] * axis
    outward = radial / np.linalg.norm(radial, axis=1, keepdims=True)
    size = np.linalg.norm(radial, axis=1, keepdims=True).mean()
    aside = joints[0] - centre
    aside -= (aside @ axis) * axis
    rings = []
    for distance, growth in RINGS:
        flatten = min(distance / RINGS[CUFF - 1, 0], 1.0)
        along = (1 - flatten) * height + flatten * height.max() + distance
        # Round, and around the straight line through the wrist, from the middle on.
        even = _smooth(distance, RINGS[NEAR - 1, 0], FOREARM - 0.04)
        round_ = radial + even * (size * outward - radial) + even * aside
        rings.append(centre + round_ + outward * growth + along[:, None] * axis)
    cap = rings[-1].mean(0) + 0.002 * axis
    source = np.concatenate([np.tile(loop, len(RINGS)), loop[:1]])

    ids = np.concatenate([loop[None], base + np.arange(len(RINGS) * count).reshape(-1, count)])
    here, after = ids[:-1], ids[1:]
    right_here, right_after = np.roll(here, -1, 1), np.roll(after, -1, 1)
    walls = np.stack(
        [np.stack([right_here, here, after], -1), np.stack([right_here, after, right_after], -1)], 2
    )
    closing = np.full(count, base + len(RINGS) * count)
    lid = np.stack([np.roll(ids[-1], -1), ids[-1], closing], -1)
    # The far rings share the texture of the near ones, which come last: theirs is painted.
    nearness = np.argsort(np.repeat(np.arange(len(RINGS)) < NEAR, 2 * count), kind='stable')
    new_faces = np.concatenate([walls.reshape(-1, 3)[nearness], lid]).astype(np.int32)
    chart = _arm_chart(count)
    chart[: len(nearness)] = chart[nearness]
    if turned:
        new_faces, chart = new_faces[:, ::-1], chart[:, ::-1]

    weights = np.zeros((len(source), 16), np.float32)
    weights[:, 0] = 1
    part = np.full(len(source), SLEEVE, np.uint8)
    part[: CUFF * count] = 0
    arm_weights = np.zeros((base + len(source), 2), np.float32)
    beyond = (np.concatenate([*rings, cap[None]]) - joints[0]) @ axis
    bent = _smooth(np.append(np.repeat(RINGS[:, 0], count), RINGS[-1, 0]), *_WRIST)
    arm_weights[base:, 1] = _smooth(beyond, *_ELBOW)
    arm_weights[base:, 0] = bent - arm_weights[base:, 1]

    def grown(array: NDArray[Any], extra: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([array, extra.astype(array.dtype)])

    return replace(
        hand,
        v_template=grown(hand.v_template, np.concatenate([*rings, cap[None]])),
        faces=grown(hand.faces, new_faces),
        weights=grown(hand.weights, weights),
        J_regressor=np.pad(hand.J_regressor, ((0, 0), (0, len(source)))),
        shapedirs=grown(hand.shapedirs, hand.shapedirs[source]),
        posedirs=grown(hand.posedirs, hand.posedirs[source]),
        face_layer=grown(hand.face_layer, np.ones(len(new_faces), np.int32)),
        vertex_part=grown(hand.vertex_part, part),
        corner_uv=grown(hand.corner_uv, chart),
        arm_weights=arm_weights,
    )


@lru_cache(maxsize=4)
def bare_arm(hand: HandModel) -> HandModel:
    """The hand without the thickness of the cloth on its arm; one without an arm as it is."""
    sleeve = np.flatnonzero(hand.vertex_part == SLEEVE)
    count, rest = divmod(len(sleeve) - 1, len(RINGS) - CUFF)
    if hand.arm_weights is None or count < 3 or rest:
        return hand
    vertices = hand.v_template.copy()
    rings = vertices[sleeve[:-1]].reshape(-1, count, 3).astype(np.float64)
    axis = arm_axis(hand)
    radial = rings - rings.mean(1, keepdims=True)
    radial -= (radial @ axis)[..., None] * axis
    outward = radial / np.linalg.norm(radial, axis=2, keepdims=True)
    distance, growth = RINGS[CUFF:].T
    cloth = np.maximum(growth - np.interp(distance, *BARE), 0)
    cloth[distance > BARE[0][1]] = cloth[distance == BARE[0][1]]
    rings -= cloth[:, None, None] * outward
    vertices[sleeve[:-1]] = rings.reshape(-1, 3).astype(vertices.dtype)
    return replace(hand, v_template=vertices)


def beside_hand(hand: HandModel) -> NDArray[np.bool_]:
    """Which vertices [V] are the hand's or its arm's next to it, and not far away from it."""
    wrist = hand.J_regressor[0].astype(np.float64) @ hand.v_template
    return np.asarray((hand.v_template - wrist) @ arm_axis(hand) < NEAR_REACH)


def _smooth(x: Any, low: float, high: float) -> Any:
    """0 up to low, 1 from high on, without an edge."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _arm_chart(count: int) -> NDArray[np.float32]:
    """Texture coordinates [Fs, 3, 2] of the arm: a cylinder unrolled to SLEEVE_CHART.

    Beyond the near rings the cloth goes back and forth over the same part of the texture.
    """
    u0, u1, v0, v1 = SLEEVE_CHART
    distances = np.concatenate([[0.0], RINGS[:, 0]])
    skin, cloth = distances[: CUFF + 1], distances[CUFF:]
    edge = SLEEVE_CHART_EDGE
    turns = (cloth - cloth[0]) / (RINGS[NEAR - 1, 0] - cloth[0])
    folded = 1 - np.abs(1 - turns % 2)
    fraction = np.concatenate([edge * skin[:-1] / skin[-1], edge + (1 - edge) * folded])
    v = v1 + (v0 - v1) * fraction
    u = u0 + (u1 - u0) * np.arange(count + 1) / count
    left, right = np.stack([u[:-1], u[1:]])[:, None, :].repeat(len(v) - 1, 1)
    low, high = (v[k : k + len(v) - 1, None].repeat(count, 1) for k in (0, 1))

    def corners(*points: tuple[NDArray[np.floating], NDArray[np.floating]]) -> NDArray[np.floating]:
        return np.stack([np.stack(p, -1) for p in points], -2)

    walls = np.stack(
        [
            corners((right, low), (left, low), (left, high)),
            corners((right, low), (left, high), (right, high)),
        ],
        2,
    ).reshape(-1, 3, 2)
    top = np.full(count, v[-1])
    lid = corners((u[1:], top), (u[:-1], top), ((u[1:] + u[:-1]) / 2, top))
    uv: NDArray[np.float32] = np.concatenate([walls, lid]).astype(np.float32)
    return uv
