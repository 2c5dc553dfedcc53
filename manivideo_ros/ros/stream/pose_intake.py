"""From pose messages to the view of a frame: frames, cameras and checks of the input.

Every method that takes a message returns its problems, each one line that starts with the field.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, JointState
from tf2_msgs.msg import TFMessage

from manivideo_ros.camera.lens import Lens, lens_of
from manivideo_ros.camera.viewing import DEFAULT_FOV, bounded, default_camera, hands_in_view
from manivideo_ros.geometry import Array, Camera, pinhole
from manivideo_ros.hand.shape import HandShape
from manivideo_ros.messages.read import read_camera, read_hands, read_objects
from manivideo_ros.motion.pose_buffer import SKELETON, PoseBuffer, Snapshot, Timing
from manivideo_ros.motion.robots.following import follow
from manivideo_ros.motion.robots.intake import RobotIntake
from manivideo_ros.motion.robots.plans import Planned
from manivideo_ros.motion.transforms import TransformTree
from manivideo_ros.msg import HandPoses, ObjectPoses, SkeletonPoses
from manivideo_ros.robot.retarget import Retargeting
from manivideo_ros.ros.stream.skeletons import hands_of_others, read_skeleton

SECOND = 1_000_000_000
DEFAULT_FRAME = 'default_camera_optical_frame'
OPTICAL = '_optical_frame'
# Poses without a camera for this long: the default camera is used.
CAMERA_WAIT_NS = SECOND
# How long, and for how many hand poses, a frame waits at most for the transform of a camera that
# moves with the hands and is published after them.
RIDE_NS, RIDE_FRAMES = 50_000_000, 3
# How far poses may be ahead of a simulated clock, which arrives on another topic.
AHEAD_NS = SECOND // 2
# Hands and skeletons that are silent for this long no longer trigger the frames.
SILENCE_S = 0.1


@dataclass(frozen=True)
class View:
    """What one frame shows: the snapshot, the camera and the name of its frame.

    camera: the pinhole camera that renders; lens: the distortion of its image, None for none.
    resets: number of clock resets so far; world: the frame of the poses.
    """

    snapshot: Snapshot
    camera: Camera
    camera_frame: str
    resets: int = 0
    lens: Lens | None = None
    world: str = ''


class PoseIntake:
    """Buffers messages and returns the views of frames. Not thread-safe.

    size: width and height of images until a camera is known, pixels. human: whether the network
    uses skeletons. pose_filter: whether jitter is removed from hands and objects. robot: what takes
    joint states, None without a robot; place: world_from_root [4, 4] of its root where TF does not
    have it, with the name of the world's frame. shape: of hands whose poses have none.
    """

    def __init__(
        self,
        object_ids: Collection[str],
        hand_model: str,
        size: tuple[int, int],
        timing: Timing,
        human: bool = False,
        pose_filter: bool = False,
        robot: RobotIntake | None = None,
        place: tuple[Array, str] = (np.eye(4), 'world'),
        shape: HandShape | None = None,
    ) -> None:
        self.shape = shape
        self._robot, (self._place, self._robot_world) = robot, place
        self._retargeting: Retargeting | None = None
        self.object_ids = set(object_ids)
        self.human, self._skeletons_reported = human, False
        self.hand_model = hand_model
        self.width, self.height = size
        self.buffer = PoseBuffer(timing, pose_filter)
        self.transforms = TransformTree()
        self.world = ''
        self._skeleton_frame = ''
        self._pinhole: tuple[Camera, str] | None = None
        self.given_size = size  # width and height in CameraInfo, which may exceed the images'
        self._distortion: tuple[str, tuple[float, ...]] = ('', ())
        self._lens_made: tuple[str, Lens | None] = ('', None)
        self._default: Camera | None = None
        self._first_pose_ns: int | None = None
        self._stale: tuple[int, int] | None = None
        self._unseen_since_ns: int | None = None
        self._waiting_since_ns: int | None = None
        self._missing: set[str] = set()
        self._of_others: set[str] = set()
        self._shown: tuple[int, int] | None = None  # of the last view: clock resets and stamp

    def take_hands(self, message: HandPoses, received_ns: int) -> list[str]:
        """Add hand poses; their frame becomes the world frame of the view."""
        hands = read_hands(message, self.hand_model)
        self.world = hands.frame_id
        if refusal := self._refusal(hands.stamp_ns, received_ns):
            return [*hands.problems, refusal]
        resets = self.buffer.resets
        states = hands.states if self.shape is None else self.shape.on(hands.states)
        problems = self.buffer.add_hands(hands.stamp_ns, states, received_ns)
        if self.buffer.resets != resets:
            self._unseen_since_ns = None
        return [*hands.problems, *problems]

    def take_joint_states(self, message: JointState, received_ns: int) -> list[str]:
        """Add a state of the robot, whose root TF places in the world."""
        assert self._robot is not None
        stamp, positions, problems = self._robot.take(message)
        if positions is None:
            return problems
        return problems + self._place_robot(stamp, positions, None, received_ns)

    def take_planned(self, planned: Planned, stamp: int, received_ns: int) -> list[str]:
        """Add the robot at one time (ns) of a planned motion, which may place its root."""
        assert self._robot is not None
        positions, problems = self._robot.add(planned.positions)
        return problems + self._place_robot(stamp, positions, planned.base, received_ns)

    def _place_robot(
        self, stamp: int, positions: Array, base: tuple[str, Array] | None, received_ns: int
    ) -> list[str]:
        assert self._robot is not None
        problems: list[str] = []
        if refusal := self._refusal(stamp, received_ns):
            return [*problems, refusal]
        self.world = self.world or self._robot_world
        root, from_root = base or (self._robot.model.root, np.eye(4))
        place = self._place @ from_root
        try:
            place = self.transforms.lookup(self.world, root, stamp) @ from_root
        except LookupError:
            # A pose that was given counts where TF does not know the root at all.
            if root in self.transforms.frames or np.array_equal(self._place, np.eye(4)):
                problems.append(
                    f'/tf: no transform connects {root!r} with {self.world!r}: the robot stands at '
                    'robot_pose'
                )
        resets = self.buffer.resets
        state = self._robot.state(positions, place)
        problems += self.buffer.add_robots(stamp, {RobotIntake.NAME: state}, received_ns)
        if self.buffer.resets != resets:
            self._unseen_since_ns = None
            self._robot.reset()
        return problems

    def take_hands_for_robot(self, message: HandPoses, received_ns: int) -> list[str]:
        """Move the robot by hand poses: its fingertips follow theirs."""
        assert self._robot is not None
        hands = read_hands(message, self.hand_model)
        self.world = hands.frame_id
        if refusal := self._refusal(hands.stamp_ns, received_ns):
            return [*hands.problems, refusal]
        if self._retargeting is None:
            self._retargeting = Retargeting(self._robot.model, self._place)
        state = follow(self._retargeting, hands.states)
        robots = {} if state is None else {RobotIntake.NAME: state}
        return [*hands.problems, *self.buffer.add_robots(hands.stamp_ns, robots, received_ns)]

    def take_objects(self, message: ObjectPoses, received_ns: int) -> list[str]:
        """Add object poses, in the frame of the hands or one that a transform connects with it."""
        objects = read_objects(message, self.object_ids)
        self.world = self.world or objects.frame_id
        poses: dict[str, NDArray[np.floating]] = objects.states
        if refusal := self._refusal(objects.stamp_ns, received_ns):
            return [*objects.problems, refusal]
        if objects.frame_id != self.world:
            try:
                to_world = self.transforms.lookup(self.world, objects.frame_id, objects.stamp_ns)
            except LookupError as error:
                return [*objects.problems, f'header.frame_id: {error}']
            poses = {name: to_world @ pose for name, pose in poses.items()}
        problems = self.buffer.add_objects(objects.stamp_ns, poses, received_ns)
        return [*objects.problems, *problems]

    def take_skeletons(self, message: SkeletonPoses, received_ns: int) -> list[str]:
        """Add people in the camera's image; without `human` they are ignored, reported once."""
        if not self.human:
            reported, self._skeletons_reported = self._skeletons_reported, True
            return [] if reported else ['ignored: the checkpoint was trained without `human`']
        person = read_skeleton(message, *self.size)
        self._skeleton_frame = person.frame_id
        if refusal := self._refusal(person.stamp_ns, received_ns):
            return [*person.problems, refusal]
        if self._pinhole is not None and person.frame_id not in ('', self._pinhole[1]):
            person.problems.append(
                f'header.frame_id: {person.frame_id!r} is not the camera of the view, '
                f'{self._pinhole[1]!r}: the keypoints are used as if they were in its image'
            )
        skeleton = person.states.get(SKELETON)
        problems = self.buffer.add_skeleton(person.stamp_ns, skeleton, received_ns)
        return [*person.problems, *problems]

    def clock_reset(self, before_ns: int, now_ns: int) -> list[str]:
        """Handle a simulated clock that was set back from `before_ns`, or started (0).

        If it was set back, all poses are dropped, and no frame is made until new ones are received.
        """
        if before_ns == 0:
            self.buffer.clock_began(now_ns)
            self._first_pose_ns = None if self._first_pose_ns is None else now_ns
            return []
        # After a small step, old and new poses are close to each other: a smaller margin.
        ahead = min(AHEAD_NS, (before_ns - now_ns) // 2)
        self._stale = (ahead, before_ns + SECOND)
        self.buffer.restart()
        if self._robot is not None:
            self._robot.reset()
        self._retargeting = None
        self.transforms.forget_moving()
        self._first_pose_ns = self._unseen_since_ns = self._waiting_since_ns = None
        return ['/clock was set back: all poses dropped']

    def _refusal(self, stamp_ns: int, received_ns: int) -> str:
        """Why a pose of that stamp must not be used; '' if it may be."""
        if self._first_pose_ns is None:
            self._first_pose_ns = received_ns
        if stamp_ns == 0:
            return 'header.stamp: zero: the driver must stamp its poses'
        if self._stale is not None:
            ahead, last = self._stale
            if received_ns + ahead >= last:
                self._stale = None
            elif received_ns + ahead < stamp_ns <= last:
                return 'header.stamp: before /clock was set back: dropped'
        return ''

    def skeletons_trigger(self, received_ns: int) -> bool:
        """Whether skeletons trigger the frames, because there are no hands."""
        return self.human and self.buffer.hands_silent(received_ns, SILENCE_S)

    def take_camera(self, message: CameraInfo) -> list[str]:
        """Set the camera; one that cannot be used leaves the present one."""
        distortion = (message.distortion_model, tuple(message.d))
        try:
            camera = read_camera(message)
            self.given_size = camera.width, camera.height
            camera = bounded(camera)
            self._lens(camera, distortion)
        except ValueError as error:
            return [str(error)]
        self._pinhole, self._distortion = (camera, message.header.frame_id), distortion
        return []

    def _lens(self, camera: Camera, distortion: tuple[str, tuple[float, ...]]) -> Lens | None:
        """The lens of a fitted camera at its place. Raises ValueError.

        It is computed only if the intrinsics change, not if the camera moves.
        """
        key = repr((camera.intrinsics.tolist(), camera.width, camera.height, distortion))
        if key != self._lens_made[0]:
            self._lens_made = (key, lens_of(camera, *distortion))
        lens = self._lens_made[1]
        return None if lens is None else lens.placed(camera.camera_from_world)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the images: those of the camera, once it is known."""
        if self._pinhole is None:
            return self.width, self.height
        return self._pinhole[0].width, self._pinhole[0].height

    def take_transforms(self, message: TFMessage, static: bool = False) -> list[str]:
        """Add transforms; static: of frames that do not move."""
        return self.transforms.take(message, static)

    def set_objects(self, object_ids: Collection[str]) -> None:
        """Set the objects of the scene and forget the poses of others."""
        self.object_ids = set(object_ids)
        self.buffer.forget_objects()

    @property
    def waits_for_camera(self) -> bool:
        """Whether a requested frame waits for the transform of the camera."""
        return self._waiting_since_ns is not None

    def due(self, received_ns: int) -> bool:
        """Whether a frame is due that no pose triggers: other sources move, or fade out."""
        return self.waits_for_camera or self.buffer.silent(received_ns, SILENCE_S)

    def view(self, received_ns: int) -> tuple[View | None, list[str]]:
        """The newest view, None without poses or camera, and the problems with it."""
        stamp = self.buffer.frame_stamp(received_ns, SILENCE_S)
        if stamp is None:
            return None, []
        snapshot = self.buffer.sample(stamp)
        camera, frame, problems = self._camera(snapshot, received_ns)
        if camera is None:
            return None, problems
        self._waiting_since_ns = None
        before, self._shown = self._shown, (self.buffer.resets, stamp)
        if before is not None and before[0] == self.buffer.resets and stamp < before[1]:
            self._shown = before
            return None, []  # stamps must not decrease where another source takes over
        lens = self._lens(camera, self._distortion) if frame != DEFAULT_FRAME else None
        if lens is not None:
            camera = lens.drawn
            if snapshot.skeleton is not None:
                undistorted = np.array(snapshot.skeleton)
                undistorted[:, :2] = lens.unbent(undistorted[:, :2])
                snapshot = replace(snapshot, skeleton=undistorted)
        problems += self._watch(snapshot, camera)
        return View(snapshot, camera, frame, self.buffer.resets, lens, self.world), problems

    def _camera(self, snapshot: Snapshot, received_ns: int) -> tuple[Camera | None, str, list[str]]:
        problems: list[str] = []
        if self._pinhole is not None:
            camera, frame = self._pinhole
            try:
                # Without poses there is no world frame: the camera is at its own origin.
                world, stamp = self.world or frame, snapshot.stamp_ns
                to_camera = self.transforms.lookup(frame, world, stamp)
                known = self.transforms.newest_ns(frame, world)
                if known is not None and known < stamp:
                    if self._rides(known, received_ns):
                        return None, '', []
                    if stamp - known > self.buffer.timing.hold * SECOND:
                        problems = [f'/tf: no recent transform of {frame}: its last one is held']
                placed = replace(camera, camera_from_world=to_camera)
                return placed, frame, problems
            except LookupError as error:
                problems = [
                    f'camera/camera_info: header.frame_id: {error}: using the default camera'
                ]
        if self._first_pose_ns is None or received_ns - self._first_pose_ns < CAMERA_WAIT_NS:
            return None, '', []
        if self.world.endswith(OPTICAL):  # poses in a camera's frame are seen by that camera
            intrinsics = pinhole(self.width, self.height, DEFAULT_FOV)
            return Camera(intrinsics, np.eye(4), self.width, self.height), self.world, problems
        if self._default is None and (snapshot.hands or snapshot.robots):
            self._default = default_camera(
                snapshot.hands,
                snapshot.objects.values(),
                self.width,
                self.height,
                snapshot.robots.values(),
            )
        if self._default is None and self.buffer.newest_skeleton_ns is not None:
            # A skeleton is given in pixels: any camera will do until there are hands.
            intrinsics = pinhole(self.width, self.height, DEFAULT_FOV)
            camera = Camera(intrinsics, np.eye(4), self.width, self.height)
            return camera, self._skeleton_frame or DEFAULT_FRAME, problems
        return self._default, DEFAULT_FRAME, problems

    def _rides(self, known_ns: int, received_ns: int) -> bool:
        """Whether to wait for the transform of a camera that moves with the hands, such as one on a
        wrist: it has the stamps of the hands and is published a little later.
        """
        behind = self.buffer.hands_after(known_ns)
        if behind is None or behind > RIDE_FRAMES:
            return False
        if self._waiting_since_ns is None:
            self._waiting_since_ns = received_ns
        return 0 <= received_ns - self._waiting_since_ns <= RIDE_NS

    def _watch(self, snapshot: Snapshot, camera: Camera) -> list[str]:
        lost = set(snapshot.missing) - self._missing
        self._missing = set(snapshot.missing)
        problems = [
            f'{name}: no valid pose for {snapshot.age[name]:.1f} s: faded out'
            for name in sorted(lost)
        ]
        strange = hands_of_others(snapshot, camera) - self._of_others
        self._of_others |= strange
        problems += [
            f'skeleton_poses: the {side} wrist is not where hand_poses has it: the hand counts as '
            "somebody else's and keeps its own arm; check the camera's pose and stamps"
            for side in sorted(strange)
        ]
        shown = snapshot.hands, camera, snapshot.robots.values()
        if not (snapshot.hands or snapshot.robots) or hands_in_view(*shown):
            self._unseen_since_ns = None
        elif self._unseen_since_ns is None:
            self._unseen_since_ns = snapshot.stamp_ns
        elif snapshot.stamp_ns - self._unseen_since_ns >= SECOND:
            problems.append("no hand is in the camera's view: check frame_id and the camera's pose")
        return problems
