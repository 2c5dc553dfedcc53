"""All parameters of all nodes: defaults, units, ranges. Run it to print the reference's table.

The dataclasses are what the nodes read; their fields' metadata become the descriptors; a test holds
config/*.yaml and docs/reference.md to them.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

Parameters = TypeVar('Parameters')
AT_START = '; read at the start'
# Declared read_only by rclpy, so that `ros2 param load` of a node's own dump would fail.
RCLPYS_OWN = 'start_type_description_service'
QOS = 'qos_overrides.'  # rclpy's own, declared with each topic


def parameter(
    default: Any,
    description: str,
    low: float | None = None,
    high: float | None = None,
    live: bool = False,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field with what its descriptor says; live: it may be changed while the node runs.

    choices: the only values that a text may have; none for any.
    """
    metadata = {'about': description, 'range': (low, high), 'live': live, 'choices': choices}
    if isinstance(default, tuple):
        return field(default_factory=lambda: default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class NodeParameters:
    """The synthesizer's parameters. Lists of text hold '' for none: ROS has no empty list."""

    autostart: bool = parameter(True, 'configure and activate by itself at the start')
    checkpoint: str = parameter(
        '', "weights (safetensors) instead of the engine's own; '' for these", live=True
    )
    engine: str = parameter(
        'tiny', 'engine specification: a name in engines/ or a YAML file', live=True
    )
    require_backend: bool = parameter(
        False, "start on the engine's first backend or not at all, and never fall back on another"
    )
    threads: int = parameter(2, 'threads of the rasterizer and the model', 1, 64)
    appearance_seed: int = parameter(0, 'seed of the generative noise', 0, 2**32 - 1)
    hand_folder: str = parameter('', "folder of a converted MANO model; '' for the default hand")
    object_ids: tuple[str, ...] = parameter(('mug',), 'ids that ObjectPose.object_id refers to')
    object_meshes: tuple[str, ...] = parameter(
        ('mug',), 'of each id: a generated shape, a mesh file or a package:// URI'
    )
    object_scales: tuple[float, ...] = parameter((1.0,), 'of each id: metres per unit of the file')
    background: str = parameter('', "background image; '' for the one that ships")
    hand_appearance: str = parameter(
        '',
        'image of an open hand held up to the camera, back to it, fingers up: skin, sleeve and '
        "light are read off it; '' for the one that ships",
    )
    scene_folders: tuple[str, ...] = parameter(
        ('',),
        'folders that set_scene, and parameters that name files and are changed while it runs, '
        'may read besides the installed packages',
    )
    late_s: float = parameter(0.05, 'a state held longer than this is late, s', 0.0, 1.0, live=True)
    hold_s: float = parameter(0.2, 'how long a silent source holds its state, s', 0.0, 5, live=True)
    fade_s: float = parameter(0.3, 'how long it then takes to fade out, s', 0.0, 5.0, live=True)
    target_rate: float = parameter(
        0.0, 'the most frames a second, Hz; 0 to answer every pose', 0.0, 240.0, live=True
    )
    hold_latency: float = parameter(
        0.0,
        'latency to hold at the 95th percentile, s: fewer steps, then fewer frames; 0 for none',
        0.0,
        5.0,
        live=True,
    )
    jpeg_quality: int = parameter(90, 'quality of image_raw/compressed', 1, 100, live=True)


@dataclass(frozen=True)
class PlayerParameters:
    """The motion player's parameters."""

    motion: str = parameter('', "motion file (rosbag2), or name of one that ships; '' the demo's")
    rate_hz: float = parameter(
        30.0, 'poses a second; motion between frames is interpolated', 1, 240
    )
    seconds: float = parameter(0.0, 'how long to play, s; 0 for ever', 0.0, 86400.0)
    loop: bool = parameter(True, 'start again at the end; the stamps go on')
    wait_for: int = parameter(0, 'subscribers of hand_poses to wait for before playing', 0, 100)


@dataclass(frozen=True)
class RecorderParameters:
    """The recorder's parameters."""

    bag: str = parameter('', "folder of the new bag; '' for one named by the time")
    topics: tuple[str, ...] = parameter(
        (
            'hand_poses',
            'object_poses',
            'skeleton_poses',
            'camera/camera_info',
            'scene',
            '/tf',
            '/tf_static',
            'image_raw',
            'camera_info',
            '/diagnostics',
        ),
        'topics to record, as soon as somebody publishes them',
    )
    labels: tuple[str, ...] = parameter(
        ('',), 'what to record of each frame besides: layers, mask, depth, keypoints'
    )
    attachments: tuple[str, ...] = parameter(
        ('',), "texts to keep in the bag's custom data, as name=path of a file"
    )


@dataclass(frozen=True)
class HandSourceParameters:
    """The hand source's parameters."""

    source: str = parameter(
        'openxr',
        'what publishes: openxr (PoseArray of 25 or 26 joints), mediapipe (PoseArray of 21 '
        'points), isaac (NamedPoseArray), manus (ManusGlove), manus_skeleton (PoseArray of 21 '
        "nodes in the SDK's order), ultraleap (Hands), leap_frame (LeapFrame), tf, or of a robot "
        'hand joint_states, joint_trajectory or display_trajectory (MoveIt)',
        choices=(
            'openxr',
            'mediapipe',
            'isaac',
            'manus',
            'manus_skeleton',
            'ultraleap',
            'leap_frame',
            'tf',
            'joint_states',
            'joint_trajectory',
            'display_trajectory',
        ),
    )
    topics: tuple[str, ...] = parameter(('left_hand', 'right_hand'), "the source's topics; not tf")
    sides: tuple[str, ...] = parameter(
        ('',), "left or right of each topic of one hand; '' where its name tells"
    )
    type: str = parameter('', "message type of the same fields from another package; '' its own")
    axes: str = parameter(
        '',
        "ros (z up), y_up (OpenXR's own, Ultraleap) or unity (left-handed); '' the source's",
        choices=('ros', 'y_up', 'unity', ''),
    )
    unit: float = parameter(
        0.0, "metres per unit, 0.001 for millimetres; 0 for the source's", 0.0, 100.0
    )
    frame: str = parameter(
        '',
        "frame of what is published: TF's base, where a robot of joints stands, or of messages "
        "that name none; '' world, of joints the root of the robot",
    )
    left_wrist: str = parameter(
        '', "where a left glove's wrist is: a frame on TF, or topic:NAME of a PoseStamped"
    )
    right_wrist: str = parameter('', 'the same of a right glove')
    left_frames: tuple[str, ...] = parameter(
        ('',),
        'with tf and joints: 21 frames or links of the left hand, wrist, then thumb to little '
        'finger, - for none, name@x,y,z for a point in its axes, m; or shadow, allegro or leap, '
        'with another prefix than theirs after a colon',
    )
    right_frames: tuple[str, ...] = parameter(('',), 'the same of the right hand')
    urdf: str = parameter(
        '', "with joints: file of the robot's URDF; '' for what robot_description tells"
    )
    rate_hz: float = parameter(30.0, 'with a trajectory: how often it is told', 1.0, 240.0)
    smooth: bool = parameter(True, 'take jitter away, at the price of one frame of delay')
    hand_folder: str = parameter('', "folder of a converted MANO model; '' for the default hand")


@dataclass(frozen=True)
class WebcamParameters:
    """The webcam's parameters."""

    camera: int = parameter(0, 'number of the camera', 0, 63)
    file: str = parameter('', 'video file to play once instead of a camera')
    fov_y: float = parameter(0.79, "the camera's vertical field of view, rad", 0.05, 3.0)
    frame: str = parameter('camera_optical_frame', "name of the camera's optical frame")
    smooth: bool = parameter(True, 'take jitter away, at the price of one frame of delay')


@dataclass(frozen=True)
class ObjectSourceParameters:
    """The object source's parameters."""

    source: str = parameter(
        'pose',
        'what publishes: pose (a PoseStamped each), pose_array, detections (Detection3DArray), '
        'mocap (RigidBodies), moveit (CollisionObject; topics with attached in their names '
        'AttachedCollisionObject, with planning_scene PlanningScene, with display '
        'DisplayTrajectory, whose plan then carries what is held), tf, or grasp (a hand holds it)',
        choices=('pose', 'pose_array', 'detections', 'mocap', 'moveit', 'tf', 'grasp'),
    )
    topics: tuple[str, ...] = parameter(('object_pose',), "the source's topics; not tf, grasp")
    ids: tuple[str, ...] = parameter(
        ('mug',),
        "objects of the scene; '' for all that the source names, under its own names: moveit then "
        'gives their shapes to the scene',
    )
    names: tuple[str, ...] = parameter(
        ('',), "what the source calls each id: class, rigid body, frame; '' the same"
    )
    type: str = parameter('', "message type of the same fields from another package; '' its own")
    frame: str = parameter('', "TF's base, or frame of messages that name none; '' world")
    grasp: tuple[float, ...] = parameter(
        (-0.1, -0.06, 0.0, 0.0, 0.0, 0.0, 1.0),
        'with grasp: pose of the object in the wrist frame, x y z in m, quaternion x y z w',
    )
    grasp_side: str = parameter(
        'right', 'with grasp: the hand that holds it, left or right', choices=('left', 'right')
    )
    urdf: str = parameter(
        '', "with plans: file of the robot's URDF; '' for what robot_description tells"
    )


@dataclass(frozen=True)
class CameraParameters:
    """The virtual camera's parameters; several cameras are several nodes."""

    kind: str = parameter(
        'look_at',
        'look_at (stands still), orbit (circles the target) or wrist (rides on a hand)',
        choices=('look_at', 'orbit', 'wrist'),
    )
    eye: tuple[float, ...] = parameter(
        (0.0, -0.75, 0.66),
        "where it is (an orbit's start), x y z in m: in `frame`, or in the right wrist's frame "
        '(fingers along -x, back of the hand +y), mirrored for the left',
        live=True,
    )
    target: tuple[float, ...] = parameter(
        (0.0, 0.0, 0.1), 'what it looks at, the same frame', live=True
    )
    width: int = parameter(640, 'pixels', 16, 8192)
    height: int = parameter(480, 'pixels', 16, 8192)
    fov_y: float = parameter(0.79, 'vertical field of view, rad', 0.05, 3.0, live=True)
    period_s: float = parameter(
        20.0, 'with orbit: how long a turn takes, s', 0.1, 86400.0, live=True
    )
    side: str = parameter('right', 'with wrist: left or right', choices=('left', 'right'))
    frame: str = parameter('world', 'frame that it stands in; a wrist has its own')
    camera_frame: str = parameter(
        '',
        "name of the camera's optical frame; '' for camera_optical_frame, after the node's "
        'namespace where it has one: TF knows each name once',
    )
    rate_hz: float = parameter(30.0, 'how often it is told; a wrist as often as hands', 0.1, 240)


@dataclass(frozen=True)
class ViewerParameters:
    """The viewer's parameters."""

    host: str = parameter(
        '127.0.0.1', 'address to serve the page on: anybody who reaches it may change the scene'
    )
    port: int = parameter(8642, 'port of the page; 0 for a free one', 0, 65535)


@dataclass(frozen=True)
class AugmenterParameters:
    """The augmenter's parameters."""

    bag_folders: tuple[str, ...] = parameter(
        ('',), 'folders that goals may name recorded bags in; at least one'
    )
    out_folder: str = parameter('', 'folder that the outputs of goals lie under; must be given')
    engine: str = parameter(
        'tiny_cpu', 'engine specification of one backend: a name or a YAML file'
    )
    checkpoint: str = parameter('', "weights (safetensors); '' for the engine's own")
    hand_folder: str = parameter('', "folder of a converted MANO model; '' for the default hand")


ALL = {
    'synthesizer': NodeParameters,
    'motion_player': PlayerParameters,
    'recorder': RecorderParameters,
    'hand_source': HandSourceParameters,
    'object_source': ObjectSourceParameters,
    'webcam': WebcamParameters,
    'virtual_camera': CameraParameters,
    'viewer': ViewerParameters,
    'augmenter': AugmenterParameters,
}


def declare(
    node: Node,
    kind: type[Parameters],
    unlocked: Callable[[str], bool] = lambda name: False,
    also: Callable[[Mapping[str, Any]], None] = lambda changed: None,
) -> Parameters:
    """Declare a dataclass's parameters on a node, guard them, and return their values.

    unlocked: whether a parameter that is read at the start may be changed now. also: raises
    ValueError for changed values (by name, each sound by itself) that the node cannot honour. Warns
    of values that were given for parameters that there are not. Raises ValueError naming the first
    parameter whose value is of another type or out of range.
    """
    types = typing.get_type_hints(kind)
    values, given = {}, node._parameter_overrides  # rclpy shows them nowhere else
    for entry in fields(kind):  # type: ignore[arg-type]
        default = _default(entry)
        try:
            node.declare_parameter(entry.name, default, _descriptor(entry, types[entry.name]))
        except ParameterException as error:
            if entry.name in given:
                _checked(entry, types[entry.name], given[entry.name].value)
            raise ValueError(f'{entry.name}: {error}') from None
        value = node.get_parameter(entry.name).value
        values[entry.name] = _checked(entry, types[entry.name], value)
    for text in _unknown(node, [name for name in given if not node.has_parameter(name)]):
        node.get_logger().warning(text)

    def check(changes: Sequence[Parameter]) -> SetParametersResult:
        ours = [change for change in changes if change.name in types]
        present = {change.name: node.get_parameter(change.name).value for change in changes}
        for change in changes:
            if change.name == RCLPYS_OWN and change.value != present[change.name]:
                reason = f'{change.name} is read at the start: set it there'
                return SetParametersResult(successful=False, reason=reason)
        result = check_change(kind, ours, present, unlocked)
        if result.successful:
            try:
                also({c.name: c.value for c in ours if c.value != present[c.name]})
            except ValueError as error:
                return SetParametersResult(successful=False, reason=str(error))
        return result

    if RCLPYS_OWN in node._descriptors:  # `check` guards it in its stead
        node._descriptors[RCLPYS_OWN].read_only = False
    node.add_on_set_parameters_callback(check)
    return kind(**values)


def read(node: Node, kind: type[Parameters]) -> Parameters:
    """The present values of declared parameters."""
    types = typing.get_type_hints(kind)
    return kind(
        **{
            entry.name: _checked(entry, types[entry.name], node.get_parameter(entry.name).value)
            for entry in fields(kind)  # type: ignore[arg-type]
        }
    )


def check_change(
    kind: type,
    changes: Sequence[Parameter],
    present: Mapping[str, Any] | None = None,
    unlocked: Callable[[str], bool] = lambda name: False,
) -> SetParametersResult:
    """What add_on_set_parameters_callback answers: ranges and what may change live.

    present: the values now, which may always be set again, as by `ros2 param load` of a dump.
    """
    types, entries = typing.get_type_hints(kind), {e.name: e for e in fields(kind)}
    for change in changes:
        entry = entries.get(change.name)
        if entry is None:
            continue
        try:
            value = _checked(entry, types[change.name], change.value)
            same = (
                present is not None
                and change.name in present
                and _checked(entry, types[change.name], present[change.name]) == value
            )
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if not (same or entry.metadata['live'] or unlocked(change.name)):
            reason = f'{change.name} is read at the start: set it there'
            return SetParametersResult(successful=False, reason=reason)
    return SetParametersResult(successful=True)


def check_file(values: Mapping[str, Any], kind: type) -> None:
    """Raise ValueError where a YAML file's values (by name) are not parameters of that kind."""
    types, entries = typing.get_type_hints(kind), {e.name: e for e in fields(kind)}
    for name, value in values.items():
        if name not in entries:
            raise ValueError(f'{name}: no such parameter of {kind.__name__}')
        _checked(entries[name], types[name], value)


def table() -> str:
    """The parameters of all nodes as Markdown."""
    lines = ['| Node | Parameter | Default | Meaning |', '|---|---|---|---|']
    for node, kind in ALL.items():
        for entry in fields(kind):
            low, high = entry.metadata['range']
            span = f' ({low:.10g} to {high:.10g})' if low is not None else ''
            live = '; may change live' if entry.metadata['live'] else ''
            default = _default(entry)
            default = ', '.join(map(str, default)) if isinstance(default, list) else default
            default = str(default).lower() if isinstance(default, bool) else default
            shown = f'`{default}`' if default != '' else "`''`"
            lines.append(
                f'| {node} | `{entry.name}` | {shown} | {entry.metadata["about"]}{span}{live} |'
            )
    return '\n'.join(lines)


def _unknown(node: Node, names: Sequence[str]) -> Iterator[str]:
    """A warning of each name that is no parameter of the node."""
    known = list(node._parameters)
    for name in names:
        if name.startswith(QOS):
            continue
        near = difflib.get_close_matches(name, known, 1, 0.6)
        meant = f'; did you mean {near[0]}?' if near else ''
        yield f'{name}: {node.get_name()} has no such parameter: its value is not used{meant}'


def _default(entry: Any) -> Any:
    default = entry.default_factory() if callable(entry.default_factory) else entry.default
    return list(default) if isinstance(default, tuple) else default


def _descriptor(entry: Any, kind: Any) -> ParameterDescriptor:
    low, high = entry.metadata['range']
    descriptor = ParameterDescriptor(
        name=entry.name,
        description=entry.metadata['about'] + ('' if entry.metadata['live'] else AT_START),
        # Not read_only: rclpy would refuse even the present value, and `ros2 param load` with it.
        read_only=False,
        # So that `hold_s: 1` is taken for 1.0, and what else does not fit is explained by us.
        dynamic_typing=kind is float or typing.get_origin(kind) is tuple,
        additional_constraints=_one_of(entry.metadata['choices']),
    )
    if low is not None and kind is int:
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=0)]
    elif low is not None:
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(low), to_value=float(high), step=0.0)
        ]
    return descriptor


def _one_of(choices: Sequence[str]) -> str:
    return f'one of {", ".join(c or "empty" for c in choices)}' if choices else ''


def _checked(entry: Any, kind: Any, value: Any) -> Any:
    """The value as its field has it. Raises ValueError naming the parameter and what to do."""
    name = entry.name
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        if isinstance(value, str | bytes) or not hasattr(value, '__iter__'):
            raise ValueError(f'{name}: must be a list, is {value!r}: write "[{value}]"')
        return tuple(_typed(name, inner, v) for v in value if v != '')
    value = _typed(name, kind, value)
    low, high = entry.metadata['range']
    choices = entry.metadata['choices']
    if choices and value not in choices:
        raise ValueError(f'{name}: {value!r} is not {_one_of(choices)}')
    if low is not None and not low <= value <= high:
        raise ValueError(f'{name}: {value} is not in {low:.10g} to {high:.10g}')
    return value


def _typed(name: str, kind: Any, value: Any) -> Any:
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f'{name}: must be of type {kind.__name__}, is {value!r}')
    return value


if __name__ == '__main__':
    print(table())
