"""What the launch files share: arguments, nodes with the DDS profile, viewers and recorder.

Arguments that set parameters are described by the parameter dataclasses. All arguments and packages
are checked before the first process starts, and nodes of other packages start before ours: an error
ends the launch and leaves nothing running. Of `launch` and `launch_ros` only the few classes below
are used, so that a small stand-in serves where they cannot be installed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError
from launch import LaunchDescription  # type: ignore[attr-defined]  # the folder launch/ is found
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.substitutions import FindPackageShare

from manivideo_ros.process.renamed import renamed
from manivideo_ros.ros.launch.foxglove import layout_file
from manivideo_ros.ros.launch.values import (
    STRONGEST,
    USE_SIM_TIME,
    WEAKEST,
    argument_of,
    config_file,
    former_arguments,
    is_given,
    is_true,
    misspelt,
    of_config,
    parameter_file,
    remaps_of,
    value_of,
)

PACKAGE = 'manivideo_ros'
RESPAWN_DELAY_S = 2.0
PROFILES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
# By name: default and description. A default by `of_config` leaves the parameter file alone.
Arguments = Mapping[str, tuple[str, str]]

COMMON: Arguments = {
    'namespace': ('', 'Namespace of all nodes and topics.'),
    'use_sim_time': (of_config('false'), 'Whether to use the simulated time of /clock.'),
    'remaps': ('', 'Remappings of all nodes of this package: "[hand_poses:=/glove/poses]".'),
    'log_level': ('info', 'Log level of these nodes: debug, info, warn, error or fatal.'),
    'respawn': (
        'false',
        'Whether a node that ended is started again after 2 s; not motion_player, webcam and '
        'recorder, which end by themselves.',
    ),
}
H264 = (
    'is no longer needed and will be refused in the next release: image_raw/foxglove and '
    'image_raw/ffmpeg are published while they are subscribed to'
)
SCENE = (
    'object_ids',
    'object_meshes',
    'object_scales',
    'scene',
    'background',
    'hand_reference',
    'live_background',
    'region',
    'hand_folder',
    'engine',
    'checkpoint',
    'autostart',
)


@dataclass(frozen=True)
class Switch:
    """A launch argument, true or false, that starts a node."""

    name: str
    description: str
    default: str = 'false'


@dataclass(frozen=True)
class PackageNode:
    """A node of this package.

    arguments: launch argument by the parameter that it sets. defaults: values of parameters that
    the parameter file may override; fixed: values that nothing overrides. switch: what starts the
    node; None where it always starts. ends: whether it ends by itself and is not started again.
    """

    executable: str
    arguments: Mapping[str, str]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    switch: Switch | None = None
    namespace: Any = None
    remappings: Sequence[tuple[str, Any]] = ()
    kind: type = Node
    ends: bool = False


@dataclass(frozen=True)
class OtherNode:
    """A node of another package, which must be installed; options: of its launch action."""

    package: str
    executable: str
    switch: Switch
    options: Mapping[str, Any]


AnyNode = PackageNode | OtherNode


def launch_description(*nodes: AnyNode, config: str = '') -> LaunchDescription:
    """A launch file with these nodes, and the arguments that they need.

    config: the default of the argument `config`; '' for a launch file without it.
    """
    arguments = dict(_arguments(nodes))
    if config:
        about = 'Parameter file: a path, or a name in config/ of this package.'
        arguments['config'] = (config, about)
    arguments |= COMMON
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in arguments.items()
    ]
    start = OpaqueFunction(function=partial(_actions, known=tuple(arguments), nodes=nodes))
    return LaunchDescription([*declared, start])


def node(
    executable: str,
    arguments: Iterable[str] = (),
    *,
    renamed: Mapping[str, str] | None = None,
    **others: Any,
) -> PackageNode:
    """A node of this package.

    arguments: parameters that launch arguments of the same name set; renamed: parameter by launch
    argument of another name; others: fields of PackageNode.
    """
    named = {name: name for name in arguments}
    named |= {parameter: argument for argument, parameter in (renamed or {}).items()}
    return PackageNode(executable, {**named, USE_SIM_TIME: USE_SIM_TIME}, **others)


def synthesizer(**others: Any) -> PackageNode:
    """The synthesizer, with launch arguments for its scene and engine."""
    return node('synthesizer', SCENE, kind=LifecycleNode, **others)


def motion_player(arguments: Iterable[str]) -> PackageNode:
    """The motion player, which `play:=false` leaves out."""
    play = Switch('play', "Whether to play a motion; 'false' waits for other pose topics.", 'true')
    return node('motion_player', arguments, switch=play, ends=True)


def virtual_camera(default: str) -> PackageNode:
    """A virtual camera, with its kind as argument; default: of the argument that starts it."""
    about = 'Whether to start a virtual camera; without one a default camera frames the hands.'
    switch = Switch('camera', about, default)
    return node('virtual_camera', renamed={'camera_kind': 'kind'}, switch=switch)


def viewers(
    rviz: str = 'manivideo.rviz',
    videos: Sequence[Any] = (),
    poses: Sequence[Any] = (),
    beside: bool = False,
) -> list[AnyNode]:
    """RViz, Foxglove, the page and the recorder, each with its switch.

    rviz: a file in rviz/. videos: the namespaces of the videos, by default that of all nodes; the
    page shows the first. poses: remappings of the pose topics, which the page lists and records.
    beside: the page shows the second video on the right of the first.
    """
    namespace = LaunchConfiguration('namespace')
    videos = videos or (namespace,)
    display = PathJoinSubstitution([FindPackageShare(PACKAGE), 'rviz', rviz])
    bridge = {'name': 'foxglove_bridge', 'namespace': namespace, 'layouts': videos}
    page = Switch('view', 'Whether to serve the page for browsers, on http://127.0.0.1:8642/.')
    show = Switch('rviz', 'Whether to start RViz with video, layers and markers; needs rviz2.')
    foxglove = Switch(
        'foxglove', 'Whether to start foxglove_bridge on port 8765; needs that package.'
    )
    record = Switch('record', 'Whether to record poses and video into a rosbag2 (MCAP).')
    second: dict[str, Any] = {}
    if beside:
        names = ('image_raw/compressed', 'set_scene')
        other = [(f'beside/{name}', PathJoinSubstitution([videos[1], name])) for name in names]
        poses, second = [*poses, *other], {'fixed': {'side_by_side': True}}
    return [
        OtherNode('rviz2', 'rviz2', show, {'namespace': namespace, 'arguments': ['-d', display]}),
        OtherNode('foxglove_bridge', 'foxglove_bridge', foxglove, bridge),
        node('viewer', switch=page, namespace=videos[0], remappings=poses, **second),
        node('recorder', ['bag'], switch=record, ends=True),
    ]


def _arguments(nodes: Iterable[AnyNode]) -> Iterable[tuple[str, tuple[str, str]]]:
    """The arguments of nodes; one that several share is that of the node which names it so."""
    found: dict[str, tuple[str, str]] = {}
    exact: set[str] = set()
    for each in nodes:
        if each.switch is not None:
            found[each.switch.name] = (each.switch.default, each.switch.description)
        if not isinstance(each, PackageNode):
            continue
        for parameter, name in each.arguments.items():
            if name == USE_SIM_TIME or name in exact:
                continue
            if parameter == name or name not in found:
                found[name] = argument_of(each.executable, parameter, each.defaults)
            if parameter == name:
                exact.add(name)
    return found.items()


def _actions(context: Any, *, known: Sequence[str], nodes: Sequence[AnyNode]) -> list[Any]:
    """The actions of all nodes to start, those of other packages first. Raises ValueError."""
    values = dict(context.launch_configurations)
    out: list[Any] = []
    for old, new in former_arguments(
        (n.executable, n.arguments) for n in nodes if isinstance(n, PackageNode)
    ).items():
        if old in values:
            out.append(LogInfo(msg=f'[WARN] launch argument {renamed(old, new)}'))
            given = values.pop(old)
            values[new] = values[new] if is_given(values[new]) else given
    if values.pop('h264', None) is not None:  # an argument of the previous release
        out.append(LogInfo(msg=f'[WARN] launch argument h264: {H264}'))
    out += _misspelt(context, values, known)
    started = [
        n for n in nodes if n.switch is None or is_true(n.switch.name, values[n.switch.name])
    ]
    others = [each for each in started if isinstance(each, OtherNode)]
    for other in others:
        _require(context, other)
    ours = [_action(context, values, each) for each in started if isinstance(each, PackageNode)]
    for other in others:
        out += _other(context, values, other)
    return out + ours


def _misspelt(context: Any, values: Iterable[str], known: Sequence[str]) -> list[Any]:
    """Warnings of arguments that resemble one of ours. Raises ValueError for unknown ones where
    this file itself was started from a shell: nothing else can have meant them.
    """
    file = os.path.basename(str(context.locals.current_launch_file_path))
    typed = [word.split(':=', 1)[0] for word in context.argv if ':=' in word]
    itself = any(os.path.basename(word) == file for word in sys.argv[1:])
    others = ('launch-prefix', 'launch-prefix-filter')  # the options of `ros2 launch`
    out = []
    for name, near in misspelt(values, known).items():
        meant = f'; did you mean {near}?' if near else f'; --show-args lists those of {file}'
        text = f'launch argument {name}: {file} has no such argument{meant}'
        if itself and name in typed and name not in others:
            raise ValueError(text)
        if near:
            out.append(LogInfo(msg=f'[WARN] {text}'))
    return out


def _require(context: Any, other: OtherNode) -> None:
    try:
        context.perform_substitution(FindPackageShare(other.package))
    except PackageNotFoundError:
        apt = f'ros-{os.environ.get("ROS_DISTRO", "jazzy")}-{other.package.replace("_", "-")}'
        raise ValueError(
            f'launch argument {other.switch.name}: the package {other.package} is not installed: '
            f'sudo apt install {apt}'
        ) from None


def _other(context: Any, values: Mapping[str, str], other: OtherNode) -> list[Any]:
    """The action of a node of another package; for Foxglove, notes on the layouts to import."""
    options = dict(other.options)
    layouts = [layout_file(context.perform_substitution(ns)) for ns in options.pop('layouts', ())]
    clock = values[USE_SIM_TIME]
    if is_given(clock):
        simulated = {USE_SIM_TIME: is_true(USE_SIM_TIME, clock)}
        options['parameters'] = [*options.get('parameters', ()), simulated]
    notes = [LogInfo(msg=f'Foxglove: import the layout {file}') for file in layouts]
    return [*notes, Node(package=other.package, executable=other.executable, **options)]


def _action(context: Any, values: Mapping[str, str], each: PackageNode) -> Any:
    """The action of a node of this package, its parameters in the order of their precedence."""
    share = Path(context.perform_substitution(FindPackageShare(PACKAGE)))
    given = {
        parameter: value_of(argument, values[argument], each.executable, parameter)
        for parameter, argument in each.arguments.items()
        if is_given(values[argument])
    }
    files = [parameter_file(WEAKEST, each.defaults)] if each.defaults else []
    if 'config' in values:
        files.append(config_file(values['config'], share / 'config'))
    if given or each.fixed:
        files.append(parameter_file(STRONGEST, {**given, **each.fixed}))
    profile = str(share / 'config' / 'fastdds.xml')
    return each.kind(
        package=PACKAGE,
        executable=each.executable,
        name=each.executable,
        namespace=LaunchConfiguration('namespace') if each.namespace is None else each.namespace,
        output='screen',
        parameters=files,
        # The first rule that fits a name counts.
        remappings=[*remaps_of(values['remaps']), *each.remappings],
        ros_arguments=['--log-level', values['log_level']],
        respawn=is_true('respawn', values['respawn']) and not each.ends,
        respawn_delay=RESPAWN_DELAY_S,
        additional_env={name: profile for name in PROFILES if name not in os.environ},
    )
