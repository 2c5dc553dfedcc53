"""Random scenes before rendering: poses, objects, room and camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.data.scenes.camera_response import Capture, Response, random_response
from manivideo_ros.data.scenes.grasps import probes
from manivideo_ros.data.scenes.library import (
    SKINS,
    VARIANTS,
    ObjectAsset,
    Skin,
    Split,
    generator,
    object_asset,
    object_seed,
    shape_names,
    skin,
)
from manivideo_ros.data.scenes.motion_actions import motion_direction, motions, sample_motion
from manivideo_ros.data.scenes.placement import Action, drift, hand_points, place_action
from manivideo_ros.data.scenes.reference_pose import ReferencePose, random_reference_pose
from manivideo_ros.data.scenes.robots import BodyAsset, RobotAsset
from manivideo_ros.data.scenes.room import Room, random_room
from manivideo_ros.data.scenes.viewpoint import framing_camera, random_camera
from manivideo_ros.geometry import Camera, transform_points
from manivideo_ros.hand.arm.mesh import bare_arm
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import Side
from manivideo_ros.mlo.surfaces import (
    Surface,
    SurfacePose,
    hand_surface,
    object_surface,
    robot_surface,
)

SIZE = 256
FRAMES = 4
MOTION_SHARE = 0.4
CONSECUTIVE_SHARE = 0.25


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that determines a scene's images.

    hands: models by side, in the order of the surfaces; asset: None without an object. frames:
    poses, at 30 Hz if consecutive, else unrelated. All share camera, room, skin and object. others:
    name, seed and asset of the other objects, whose six views are not used. bare: without sleeves.
    capture: how it is recorded, None for ideally. labels: the poses that are stored with the images
    of `frames`, None for those. robots: in place of hands, by side, in the order of the surfaces.
    body: of the person whose hands they are; the last surface, which labels leave out. skeletons:
    keypoints [134, 3] of each frame, in pixels of `camera`; None: there is no person.
    """

    split: Split
    seed: int
    hands: dict[Side, HandModel]
    skin: Skin
    asset: ObjectAsset | None
    object_name: str
    object_seed: int
    room: Room
    camera: Camera
    response: Response
    frames: list[Action]
    consecutive: bool
    reference_pose: ReferencePose
    others: tuple[tuple[str, int, ObjectAsset], ...] = ()
    bare: bool = False
    capture: Capture | None = None
    labels: list[Action] | None = None
    robots: Mapping[Side, RobotAsset] = field(default_factory=dict)
    body: BodyAsset | None = None
    skeletons: list[NDArray[np.float32]] | None = None

    def surfaces(self, num_layers: int = 7) -> list[Surface]:
        """Surfaces for a rasterizer: hands by side, robots by side, the objects, the body."""
        hands = (bare_arm(hand) if self.bare else hand for hand in self.hands.values())
        out = [hand_surface(hand, num_layers) for hand in hands]
        out += [robot_surface(robot.model, num_layers) for robot in self.robots.values()]
        assets = [self.asset] if self.asset else []
        assets += [asset for _, _, asset in self.others]
        out += [object_surface(asset.mesh) for asset in assets]
        return out if self.body is None else [*out, object_surface(self.body.mesh)]

    def poses(self, frame: int) -> list[SurfacePose]:
        """Poses of `surfaces` in a frame, None where absent."""
        return self.poses_of(self.frames[frame])

    def label(self, frame: int) -> Action:
        """The poses that are stored with a frame."""
        return self.frames[frame] if self.labels is None else self.labels[frame]

    def poses_of(self, action: Action) -> list[SurfacePose]:
        """An action as poses of `surfaces`, None where absent."""
        out: list[SurfacePose] = [action.hands.get(side) for side in self.hands]
        out += [action.robots.get(side) for side in self.robots]
        out += [*([action.world_from_object] if self.asset else []), *action.others]
        return out if self.body is None else [*out, action.body]


def random_betas(rng: np.random.Generator) -> NDArray[np.float32]:
    """Random hand shape [10]."""
    return np.clip(rng.normal(0, 0.7, 10), -1.8, 1.8).astype(np.float32)


def sample_scene(
    seed: int,
    split: Split = 'train',
    frames: int = FRAMES,
    motion_share: float = MOTION_SHARE,
    consecutive_share: float = CONSECUTIVE_SHARE,
) -> Scene:
    """The scene of a seed; deterministic.

    motion_share: probability of a scene from an authored motion; consecutive_share: probability of
    consecutive frames.
    """
    rng = generator(split, 1, seed)
    from_motion = rng.random() < motion_share and bool(motions(split))
    consecutive = bool(rng.random() < consecutive_share)
    betas = random_betas(rng)
    hand_skin = skin(split, int(rng.integers(SKINS)))
    person = rng.uniform(-np.pi, np.pi)
    name, number, asset = '', 0, None
    others: tuple[tuple[str, int, ObjectAsset], ...] = ()
    own_camera = None
    if from_motion:
        actions, sides, things, own_camera = sample_motion(rng, split, betas, frames, consecutive)
        hands = {side: load_hand(side) for side in sides}
        (name, number, asset), others = things[0], tuple(things[1:])
    else:
        hands = {side: load_hand(side) for side in random_sides(rng)}
        names = shape_names(split)
        if not hands or rng.random() > 0.07:
            name = names[int(rng.integers(len(names)))]
            number = object_seed(split, int(rng.integers(VARIANTS)))
            asset = object_asset(name, number)
        actions = random_actions(rng, hands, betas, asset, person, frames, consecutive)
    points = framed_points(actions, hands, asset, [other for _, _, other in others])
    if own_camera is not None and rng.random() < 0.6:
        fill = np.sqrt(rng.uniform(0.4, 1.0))
        camera = framing_camera(
            points, *motion_direction(rng, own_camera), fill, SIZE, rng.uniform(-1, 1, 2)
        )
    else:
        camera = random_camera(rng, points, SIZE, person, forearms_of(actions))
    return Scene(
        split, seed, hands, hand_skin, asset, name, number, random_room(rng), camera,
        random_response(rng), actions, consecutive,
        random_reference_pose(rng, list(hands), betas, camera), others,
    )  # fmt: skip


def random_sides(rng: np.random.Generator) -> list[Side]:
    """One hand in half of the scenes, two in 45%, none in 5%."""
    presence = rng.random()
    if presence < 0.5:
        return ['right' if rng.random() < 0.65 else 'left']
    return [] if presence > 0.95 else ['left', 'right']


def random_actions(
    rng: np.random.Generator,
    hands: dict[Side, HandModel],
    betas: NDArray,
    asset: ObjectAsset | None,
    person: float,
    frames: int,
    consecutive: bool,
) -> list[Action]:
    """Random grasps: consecutive frames at 30 Hz, or unrelated ones centred for one camera."""
    if consecutive:
        return drift(rng, place_action(rng, hands, betas, asset, person), hands, frames)
    actions = [place_action(rng, hands, betas, asset, person) for _ in range(frames)]
    return [
        a.moved(np.append(rng.normal(0, 0.012, 2) - centre_of(a, hands, asset)[:2], 0))
        for a in actions
    ]


def forearms_of(actions: list[Action]) -> NDArray[np.float64]:
    """Directions [M, 3] from wrists to elbows of all hands in all frames."""
    found = [
        s.wrist_rotation[:, 0] * (1 if side == 'right' else -1)
        for a in actions
        for side, s in a.hands.items()
    ]
    return np.array(found).reshape(-1, 3)


def centre_of(
    action: Action, hands: dict[Side, HandModel], asset: ObjectAsset | None
) -> NDArray[np.float64]:
    """Centre [3] of the bounding box of an action, without forearms."""
    points = framed_points([action], hands, asset)
    return 0.5 * (points.min(0) + points.max(0))


def framed_points(
    actions: list[Action],
    hands: dict[Side, HandModel],
    asset: ObjectAsset | None,
    others: list[ObjectAsset] | None = None,
) -> NDArray[np.float64]:
    """World points [N, 3] that the camera should frame: hands without forearms, objects."""
    points: list[NDArray] = []
    for action in actions:
        for side, state in action.hands.items():
            points.append(hand_points(hands[side], state)[~probes(hands[side]).forearm])
        if asset is not None and action.world_from_object is not None:
            points.append(transform_points(action.world_from_object, asset.points[::16]))
        for other, pose in zip(others or [], action.others, strict=False):
            points.append(transform_points(pose, other.points[::16]))
    return np.concatenate(points)
