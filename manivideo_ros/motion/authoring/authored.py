"""The authored sequences of hands with generated objects, 8 to 12 s each.

`author(name)` generates one and solves its grasps, which takes a minute; `authored_motion(name)`
reads the shipped one. HELD_OUT_MOTIONS are never trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from manivideo_ros.motion.authoring.grasp import Grasp, opened
from manivideo_ros.motion.authoring.keyframes import Pose
from manivideo_ros.motion.authoring.stage import TIPS, WRAP, Stage, pose, turn, view
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.shipped import MOTIONS as SHIPPED

HELD_OUT_MOTIONS = ('turn_mug',)
BESIDE = (-0.098, -0.022, 0.0)  # right wrist's frame: where the side of a wrapped body touches


def turn_mug() -> Stage:
    """The right hand lifts a mug, the left takes its handle and turns it, the right puts it down
    turned."""
    stage = Stage(10.0, view((0.09, 0.45, 0.33), (0.0, -0.01, 0.105), 43))
    axis = 0.0165  # from the box's centre to the mug's axis, away from the handle
    stage.place('mug', 'mug', pose((0.02, 0, 0.0485), turn('z', 170)))
    aloft = pose((0, 0, 0.2), turn('z', 180))
    body = stage.grasp(
        'right', 'mug', (axis + 0.041, 0, 0.0565), (-1, 0, 0), (-0.2, 1, -0.12), 'wrap', WRAP,
        BESIDE, pose((0, 0, 0.0485), turn('z', 180)), hollow=False,
    )  # fmt: skip
    handle = stage.grasp(
        'left', 'mug', (-0.0525, -0.01, 0.203), (1, 0.1, 0), (0.15, 1, -0.1), 'hook',
        {'index_2': 1, 'middle_2': 0.5, 'thumb_3': 0.5},
        (-0.112, -0.03, 0.012), aloft, hollow=False, steps=400,
    )  # fmt: skip
    stage.wait('mug', 1.5)
    stage.move('mug', 2.6, pose((0.01, 0.0, 0.14), turn('z', 185), turn('y', 4)))
    stage.wait('mug', 4.1)
    stage.move('mug', 5.0, pose((-0.01, 0.0, 0.15), turn('z', 220), turn('x', -28)), via=True)
    stage.move('mug', 5.8, pose((-0.01, 0.01, 0.14), turn('z', 145), turn('x', 25)), via=True)
    stage.move('mug', 6.6, pose((0.0, 0.0, 0.135), turn('z', 178), turn('y', 3)))
    stage.wait('mug', 7.95)
    stage.move('mug', 8.8, pose((0.02, 0.01, 0.0485), turn('z', 215)))
    stage.rest('right', 0.0, (0.17, -0.07, 0.08))
    stage.reach('mug', body, 0.85, 1.45)
    stage.release('mug', body, 4.1, 4.65)
    stage.rest('right', 5.4, (0.16, -0.05, 0.12))
    stage.rest('right', 5.9, (0.16, -0.05, 0.12))
    stage.reach('mug', body, 6.7, 7.25)
    stage.release('mug', body, 8.85, 9.4)
    stage.rest('right', 10.0, (0.17, -0.07, 0.08))
    stage.rest('left', 0.0, (0.17, -0.07, 0.08))
    stage.rest('left', 1.6, (0.17, -0.07, 0.08))
    # The hand passes the handle, then moves back into its loop.
    past = stage.clear('mug', opened(handle, 0.3, 0.004, 0.014), hollow=False)
    beyond = opened(handle, 0.7, 0.05, 0.055)
    stage.at(2.7, 'mug', beyond, via=True)
    stage.at(3.5, 'mug', past, via=True)
    stage.at(3.9, 'mug', handle)
    stage.at(7.3, 'mug', handle)
    stage.at(7.65, 'mug', past, via=True)
    stage.at(8.3, 'mug', beyond, via=True)
    stage.rest('left', 9.0, (0.17, -0.07, 0.08))
    return stage


def lift_can() -> Stage:
    """The right hand lifts a can, tilts it both ways, and sets it down."""
    stage = Stage(8.0, view((-0.20, 0.40, 0.33), (0.02, 0, 0.11), 42))
    stage.place('can', 'can', pose((0.02, 0.02, 0.0545), turn('z', 20)))
    grasp = stage.grasp(
        'right', 'can', (0.02 + 0.0375, 0.02, 0.06), (-1, 0, 0), (-0.2, 1, -0.12), 'wrap', WRAP,
        BESIDE,
    )  # fmt: skip
    stage.wait('can', 1.6)
    stage.move('can', 2.7, pose((0.0, 0.0, 0.16), turn('x', 15), turn('z', 30)), via=True)
    stage.move('can', 3.6, pose((-0.02, 0.0, 0.17), turn('y', -50), turn('z', 25)), via=True)
    stage.move('can', 4.5, pose((0.0, 0.01, 0.165), turn('y', 25), turn('z', 10)), via=True)
    stage.move('can', 5.6, pose((0.03, 0.0, 0.0545), turn('z', 35)))
    stage.rest('right', 0.0)
    stage.reach('can', grasp, 0.9, 1.55)
    stage.release('can', grasp, 5.8, 6.4)
    stage.rest('right', 7.4)
    return stage


def hand_over_box() -> Stage:
    """The right hand takes a cereal box by its edge and hands it to the left."""
    stage = Stage(9.0, view((0.08, 0.56, 0.36), (0, 0, 0.125), 45))
    stage.place('box', 'box', pose((0.08, 0.02, 0.103), turn('z', -8)))
    slab = {**TIPS, 'index_2': 0.3, 'middle_2': 0.3, 'thumb_2': 0.3}
    right = stage.grasp(
        'right', 'box', (0.0725, 0, 0.103), (-1, 0, 0), (-0.25, 1, -0.1), 'slab', slab,
        (-0.085, -0.035, 0.0), pose((0, 0, 0.103)),
    )  # fmt: skip
    left = stage.grasp(
        'left', 'box', (-0.0725, 0, 0.123), (1, 0, 0), (0.25, 1, -0.1), 'slab', slab,
        (-0.085, -0.035, 0.0), pose((0, 0, 0.103)),
    )  # fmt: skip
    stage.wait('box', 1.6)
    stage.move('box', 2.8, pose((0.0, 0.0, 0.17), turn('z', 4), turn('y', -6)))
    stage.wait('box', 4.6)
    stage.move('box', 5.5, pose((-0.05, 0.02, 0.16), turn('z', 12), turn('y', 10)), via=True)
    stage.move('box', 6.6, pose((-0.09, 0.02, 0.103), turn('z', 10)))
    stage.rest('right', 0.0, (0.24, -0.08, 0.09))
    stage.reach('box', right, 0.95, 1.55)
    stage.release('box', right, 4.2, 4.8)
    stage.rest('right', 5.8, (0.20, -0.08, 0.09))
    stage.rest('left', 0.0, (0.20, -0.08, 0.09))
    stage.rest('left', 1.8, (0.20, -0.08, 0.09))
    stage.reach('box', left, 3.1, 3.8)
    stage.release('box', left, 6.8, 7.4)
    stage.rest('left', 8.4, (0.24, -0.08, 0.09))
    return stage


def pour() -> Stage:
    """The right hand pours from a bottle into a tumbler that the left holds."""
    stage = Stage(10.0, view((0.0, 0.56, 0.36), (0.01, 0, 0.135), 45))
    stage.place('bottle', 'bottle', pose((0.12, 0.02, 0.108)))
    stage.place('tumbler', 'tumbler', pose((-0.08, 0.02, 0.063)))
    wrap = stage.grasp(
        'right', 'bottle', (0.034, 0, 0.088), (-1, 0, 0), (-0.2, 1, -0.12), 'wrap', WRAP, BESIDE,
        pose((0, 0, 0.108)),
    )  # fmt: skip
    hold = stage.grasp(
        'left', 'tumbler', (-0.037, 0, 0.063), (1, 0, 0), (0.2, 1, -0.12), 'wrap', WRAP, BESIDE,
        pose((0, 0, 0.063)), hollow=False,
    )  # fmt: skip
    stage.wait('bottle', 1.6)
    stage.move('bottle', 2.8, pose((0.13, 0.02, 0.22), turn('y', -20)), via=True)
    stage.move('bottle', 3.9, pose((0.055, 0.02, 0.225), turn('y', -98)))
    stage.move('bottle', 5.3, pose((0.055, 0.02, 0.228), turn('y', -114)))
    stage.move('bottle', 6.4, pose((0.13, 0.02, 0.21), turn('y', -20)), via=True)
    stage.move('bottle', 7.4, pose((0.12, 0.02, 0.108)))
    stage.wait('tumbler', 2.6)
    stage.move('tumbler', 3.8, pose((-0.07, 0.02, 0.085), turn('y', 12)))
    stage.wait('tumbler', 5.4)
    stage.move('tumbler', 6.6, pose((-0.08, 0.02, 0.063)))
    for side in ('right', 'left'):
        stage.rest(side, 0.0, (0.22, -0.08, 0.08))
    stage.reach('bottle', wrap, 0.95, 1.55)
    stage.release('bottle', wrap, 7.6, 8.2)
    stage.rest('left', 0.6, (0.22, -0.08, 0.08))
    stage.reach('tumbler', hold, 1.6, 2.4)
    stage.release('tumbler', hold, 6.9, 7.5)
    stage.rest('right', 9.2, (0.22, -0.08, 0.08))
    stage.rest('left', 8.5, (0.22, -0.08, 0.08))
    return stage


def stack() -> Stage:
    """Three puzzle cubes are stacked, one by each hand."""
    stage = Stage(10.0, view((0.06, 0.46, 0.33), (0, 0.0, 0.085), 45))
    h = 0.0286
    stage.place('base', 'puzzle_cube', pose((0, 0.03, h), turn('z', 8)))
    stage.place('second', 'puzzle_cube', pose((0.12, 0.02, h), turn('z', -15)))
    stage.place('third', 'puzzle_cube', pose((-0.12, 0.02, h), turn('z', 20)))
    top = {'thumb_3': 1.0, 'index_3': 1.0, 'middle_3': 1.0, 'ring_3': 0.5}
    for name, side, begin, height, yaw in (
        ('second', 'right', 0.7, 3 * h + 0.0005, 14),
        ('third', 'left', 4.6, 5 * h + 0.001, 3),
    ):
        sign = 1 if side == 'right' else -1
        grasp = stage.grasp(
            side, name, (0, 0.0, h + 0.045), (0, 0.0, -1), (sign * -0.3, 1, 0), 'slab', top,
            (-0.095, -0.035, 0.004), pose((0, 0, h)),
        )  # fmt: skip
        stage.rest(side, 0.0)
        stage.rest(side, begin - 0.6)
        stage.reach(name, grasp, begin + 0.3, begin + 0.9)
        stage.wait(name, begin + 1.0)
        over = pose((0.05 * sign, 0.03, height + 0.055), turn('z', 0.5 * yaw))
        stage.move(name, begin + 1.9, over, via=True)
        stage.move(name, begin + 2.9, pose((0, 0.03, height), turn('z', yaw)))
        stage.release(name, grasp, begin + 3.1, begin + 3.7, 0.07)
        stage.rest(side, begin + 4.7)
    return stage


def lift_ball() -> Stage:
    """Both hands lift a ball, roll it from side to side and put it down."""
    stage = Stage(8.0, view((0.0, 0.48, 0.32), (0, 0, 0.11), 42))
    r = 0.052
    down = pose((0, 0.02, r))
    stage.place('ball', 'ball', down)
    touching = {**WRAP, 'palm': 0.6, 'thumb_3': 0.5}
    grasps = [
        stage.grasp(
            side, 'ball', (sign * r, 0.02, r + 0.008), (-sign, 0.15, -0.15), (-0.1 * sign, 1, -0.1),
            'cup', touching, (-0.085, -0.022, 0.0), down,
        )
        for side, sign in (('right', 1), ('left', -1))
    ]  # fmt: skip
    # A ball is symmetric: the left grasp is turned forward, clear of the other thumb.
    grasps[1] = grasps[1].turned(turn('x', -17))
    stage.wait('ball', 1.7)
    stage.move('ball', 2.7, pose((0, 0, 0.16)), via=True)
    stage.move('ball', 3.5, pose((0.03, 0, 0.17), turn('y', 28), turn('x', 10)), via=True)
    stage.move('ball', 4.4, pose((-0.03, 0, 0.16), turn('y', -28), turn('x', -8)), via=True)
    stage.move('ball', 5.6, pose((0.01, 0.02, r)))
    for grasp in grasps:
        stage.rest(grasp.side, 0.0, (0.18, -0.08, 0.08))
        stage.reach('ball', grasp, 0.95, 1.6, 0.06, 0.6)
        stage.at(5.8, 'ball', grasp)
        stage.at(6.4, 'ball', opened(grasp, 0.6, 0.06), via=True)
        stage.rest(grasp.side, 7.4, (0.18, -0.08, 0.08))
    return stage


def screw() -> Stage:
    """The right hand turns a screwdriver, regripping, while the left guides its shaft."""
    stage = Stage(10.0, view((-0.10, 0.46, 0.30), (0.0, 0, 0.12), 43))
    upright = turn('y', -90)  # the grip, at +x, points up

    def driven(angle: float) -> Pose:
        return pose((0, 0.02, 0.116), turn('z', angle), upright)

    away = pose((0.08, -0.01, 0.20), turn('y', 40), upright)
    stage.place('screwdriver', 'screwdriver', away)
    fist = {**WRAP, 'palm': 0.6, 'thumb_3': 0.8, 'thumb_2': 0.3}
    handle = stage.grasp(
        'right', 'screwdriver', (0.015, 0.02, 0.183), (-1, 0, 0), (-0.35, 1, -0.1), 'fist', fist,
        (-0.092, -0.026, -0.008), driven(0),
    )  # fmt: skip
    shaft = stage.grasp(
        'left', 'screwdriver', (-0.002, 0.02, 0.050), (0.9, 0.3, -0.25), (0.35, 1, -0.2), 'pinch',
        {'thumb_3': 1.0, 'index_3': 1.0, 'middle_3': 0.6}, (-0.13, -0.055, 0.03), driven(0),
    )  # fmt: skip

    loose = stage.clear('screwdriver', opened(handle, 0.5, 0.006))

    def held(angle: float, grip: Grasp = handle) -> Grasp:
        # The grip is symmetric about the object's x axis.
        return grip.turned(turn('x', angle))

    stage.wait('screwdriver', 0.4)
    stage.move('screwdriver', 1.7, driven(0))
    stage.at(0.0, 'screwdriver', handle)
    time, angle, stroke = 2.8, 0.0, -45.0
    stage.wait('screwdriver', time)
    stage.at(time, 'screwdriver', handle)
    for _ in range(3):
        stage.move('screwdriver', time + 1.0, driven(angle + stroke))
        stage.wait('screwdriver', time + 1.8)
        stage.at(time + 1.05, 'screwdriver', held(-angle))
        angle += stroke
        # The loosened hand turns back and grips again.
        for part in np.linspace(0, 1, 5):
            back = held(-angle + (1 - part) * stroke, loose)
            stage.at(time + 1.2 + 0.4 * part, 'screwdriver', back, via=True)
        stage.at(time + 1.75, 'screwdriver', held(-angle))
        time += 1.8
    stage.wait('screwdriver', time + 0.4)
    lifted = pose((0.08, -0.01, 0.20), turn('y', 40), turn('z', angle), upright)
    stage.move('screwdriver', time + 1.5, lifted)
    stage.at(10.0, 'screwdriver', held(-angle))
    guide, open_hand = driven(0) @ shaft.object_from_wrist, opened(shaft, 0.8, 0.03)
    stage.rest('left', 0.0)
    stage.rest('left', 0.9)
    before = driven(0) @ open_hand.object_from_wrist
    stage.free('left', 1.9, before, open_hand.theta, via=True)
    stage.free('left', 2.5, guide, shaft.theta)
    stage.free('left', time, guide, shaft.theta)
    stage.free('left', time + 0.5, before, open_hand.theta, via=True)
    stage.rest('left', time + 1.5)
    return stage


SEQUENCES: dict[str, Callable[[], Stage]] = {
    f.__name__: f for f in (turn_mug, hand_over_box, pour, screw, stack, lift_ball, lift_can)
}
MOTIONS = tuple(SEQUENCES)


def author(name: str) -> Motion:
    """Generate a sequence from scratch, grasps included."""
    return SEQUENCES[name]().play(name)


@cache
def authored_motion(name: str) -> Motion:
    """Read the shipped motion of a name. Raises ValueError for an unknown name."""
    if name not in SEQUENCES:
        raise ValueError(f'motion {name!r} is unknown; choose one of {", ".join(MOTIONS)}')
    return load_motion(SHIPPED / name)
