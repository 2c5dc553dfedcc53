"""What the launch files share: described arguments, nodes with the DDS profile, ways to look on.

Everything that was asked for is checked before the first process starts, and other makers' nodes
start before ours: what is wrong or missing ends the launch with nothing left behind. Only the few
classes of `launch` and `launch_ros` that are used here are, so that a small stand-in serves where
these cannot be installed.
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

from manivideo_ros.ros.launch.foxglove import layout_file
from manivideo_ros.ros.launch.values import (
    STRONGEST,
    USE_SIM_TIME,
    WEAKEST,
    config_file,
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

EVERY: Arguments = {
    'namespace': ('', 'Namespace of all nodes and topics.'),
    'use_sim_time': (of_config('false'), 'Whether time is what a simulator publishes on /clock.'),
    'remaps': ('', 'Remappings of all nodes of this package: "[hand_poses:=/glove/poses]".'),
    'log_level': ('info', 'What these nodes log: debug, info, warn, error or fatal.'),
    'respawn': (
        'false',
        'Whether a node that ended is started again after 2 s; not motion_player, webcam and '
        'recorder, which end by themselves.',
    ),
}
SCENE: Arguments = {
    'object_ids': (of_config('[mug]'), 'The ids by which ObjectPoses name the objects.'),
    'object_meshes': (
        of_config('[mug]'),
        'Of each: a generated shape, a mesh file or a package:// URI.',
    ),
    'object_scales': (of_config('[1.0]'), 'Of each: metres per unit of the mesh file.'),
    'background': (of_config(), "Background image; '' for the one that ships."),
    'hand_appearance': (
        of_config(),
        "Image of a hand with the skin and sleeve wanted; '' for the shipped.",
    ),
    'hand_folder': (of_config(), "Folder of a converted MANO model; '' for the default hand."),
    'engine': (of_config('tiny'), 'Engine specification: a name in engines/ or a YAML file.'),
    'checkpoint': (of_config(), "Weights (safetensors); '' for the engine's own."),
    'autostart': (of_config('true'), 'Whether the synthesizer configures and activates itself.'),
}
LOOKS: Arguments = {
    'view': ('false', 'Whether to serve the page for browsers, on http://127.0.0.1:8642/.'),
    'rviz': ('false', 'Whether to start RViz on video, layers and markers; needs rviz2.'),
    'foxglove': ('false', 'Whether to start foxglove_bridge on port 8765; needs that package.'),
    'h264': (
        'false',
        'Whether to publish the video as image_raw/ffmpeg too; needs ffmpeg_image_transport.',
    ),
    'record': ('false', 'Whether to record poses and video into a rosbag2 (MCAP).'),
    'bag': (of_config(), "Folder of the recording; '' for one named by the time."),
}


@dataclass(frozen=True)
class Own:
    """A node of this package.

    arguments: launch argument by the parameter that it sets. defaults: values of parameters that
    the parameter file may override; fixed: values that nothing overrides. only_if: the argument
    that must be true. ends: whether it ends by itself, and is not started again.
    """

    executable: str
    arguments: Mapping[str, str]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    only_if: str = ''
    namespace: Any = None
    remappings: Sequence[tuple[str, Any]] = ()
    kind: type = Node
    ends: bool = False


@dataclass(frozen=True)
class Foreign:
    """A node of another package that must be installed; options: as its action takes them."""

    package: str
    executable: str
    only_if: str
    options: Mapping[str, Any]


def config_of(default: str) -> Arguments:
    """The argument `config`."""
    return {'config': (default, 'Parameter file: a path, or a name in config/ of this package.')}


def described(groups: Iterable[Arguments], *nodes: Own | Foreign) -> LaunchDescription:
    """The launch file of these arguments and nodes."""
    arguments = {name: told for group in groups for name, told in group.items()}
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in arguments.items()
    ]
    start = OpaqueFunction(function=partial(_started, known=tuple(arguments), nodes=nodes))
    return LaunchDescription([*declared, start])


def own(
    executable: str,
    arguments: Iterable[str] = (),
    *,
    renamed: Mapping[str, str] | None = None,
    **others: Any,
) -> Own:
    """A node of this package.

    arguments: launch arguments that are parameters of the same name; renamed: parameter by launch
    argument of another name; others: as Own has them.
    """
    named = {name: name for name in arguments}
    named |= {parameter: argument for argument, parameter in (renamed or {}).items()}
    return Own(executable, {**named, USE_SIM_TIME: USE_SIM_TIME}, **others)


def synthesizer(**others: Any) -> Own:
    """The synthesizer with the arguments of SCENE."""
    return own('synthesizer', SCENE, kind=LifecycleNode, **others)


def looks(rviz: str = 'manivideo.rviz', videos: Sequence[Any] = ()) -> list[Own | Foreign]:
    """The nodes of LOOKS; rviz: a file in rviz/.

    videos: the namespaces that videos are in, by default the one of all; the page shows the first.
    """
    namespace = LaunchConfiguration('namespace')
    videos = videos or (namespace,)
    display = PathJoinSubstitution([FindPackageShare(PACKAGE), 'rviz', rviz])
    republish = {
        'name': 'republish',
        'parameters': [{'in_transport': 'raw', 'out_transport': 'ffmpeg'}],
        'remappings': [('in', 'image_raw'), ('out/ffmpeg', 'image_raw/ffmpeg')],
    }
    bridge = {'name': 'foxglove_bridge', 'namespace': namespace}
    return [
        Foreign('rviz2', 'rviz2', 'rviz', {'namespace': namespace, 'arguments': ['-d', display]}),
        Foreign('foxglove_bridge', 'foxglove_bridge', 'foxglove', {**bridge, 'layouts': videos}),
        *(
            Foreign('image_transport', 'republish', 'h264', {'namespace': place, **republish})
            for place in videos
        ),
        own('viewer', only_if='view', namespace=videos[0]),
        own('recorder', ['bag'], only_if='record', ends=True),
    ]


def _started(context: Any, *, known: Sequence[str], nodes: Sequence[Own | Foreign]) -> list[Any]:
    """The actions of all nodes that were asked for, other makers' first. Raises ValueError."""
    values = context.launch_configurations
    out: list[Any] = _misspelt(context, known)
    wanted = [n for n in nodes if not n.only_if or is_true(n.only_if, values[n.only_if])]
    foreign = [node for node in wanted if isinstance(node, Foreign)]
    for node in foreign:
        _require(context, node)
    ours = [_action(context, node) for node in wanted if isinstance(node, Own)]
    for node in foreign:
        out += _foreign(context, node)
    return out + ours


def _misspelt(context: Any, known: Sequence[str]) -> list[Any]:
    """Warnings of arguments that resemble one of ours. Raises ValueError where this very file was
    started from a shell, and nobody else can have meant them.
    """
    file = os.path.basename(str(context.locals.current_launch_file_path))
    typed = [word.split(':=', 1)[0] for word in context.argv if ':=' in word]
    itself = any(os.path.basename(word) == file for word in sys.argv[1:])
    others = ('launch-prefix', 'launch-prefix-filter')  # the options of `ros2 launch`
    out = []
    for name, near in misspelt(context.launch_configurations, known).items():
        meant = f'; did you mean {near}?' if near else f'; --show-args lists those of {file}'
        text = f'launch argument {name}: {file} has none of this name{meant}'
        if itself and name in typed and name not in others:
            raise ValueError(text)
        if near:
            out.append(LogInfo(msg=f'[WARN] {text}'))
    return out


def _require(context: Any, node: Foreign) -> None:
    try:
        context.perform_substitution(FindPackageShare(node.package))
    except PackageNotFoundError:
        apt = f'ros-{os.environ.get("ROS_DISTRO", "jazzy")}-{node.package.replace("_", "-")}'
        raise ValueError(
            f'launch argument {node.only_if}: the package {node.package} is not installed: '
            f'sudo apt install {apt}'
        ) from None


def _foreign(context: Any, node: Foreign) -> list[Any]:
    """A node of another package, and for Foxglove the layouts to open there."""
    options = dict(node.options)
    layouts = [layout_file(context.perform_substitution(ns)) for ns in options.pop('layouts', ())]
    clock = context.launch_configurations[USE_SIM_TIME]
    if is_given(clock):
        simulated = {USE_SIM_TIME: is_true(USE_SIM_TIME, clock)}
        options['parameters'] = [*options.get('parameters', ()), simulated]
    notes = [LogInfo(msg=f'Foxglove: import the layout {file}') for file in layouts]
    return [*notes, Node(package=node.package, executable=node.executable, **options)]


def _action(context: Any, node: Own) -> Any:
    """A node of this package, with its parameters in the order of their precedence."""
    values = context.launch_configurations
    share = Path(context.perform_substitution(FindPackageShare(PACKAGE)))
    given = {
        parameter: value_of(argument, values[argument], node.executable, parameter)
        for parameter, argument in node.arguments.items()
        if is_given(values[argument])
    }
    files = [parameter_file(WEAKEST, node.defaults)] if node.defaults else []
    if 'config' in values:
        files.append(config_file(values['config'], share / 'config'))
    if given or node.fixed:
        files.append(parameter_file(STRONGEST, {**given, **node.fixed}))
    profile = str(share / 'config' / 'fastdds.xml')
    return node.kind(
        package=PACKAGE,
        executable=node.executable,
        name=node.executable,
        namespace=LaunchConfiguration('namespace') if node.namespace is None else node.namespace,
        output='screen',
        parameters=files,
        # The first rule that fits a name counts.
        remappings=[*remaps_of(values['remaps']), *node.remappings],
        ros_arguments=['--log-level', values['log_level']],
        respawn=is_true('respawn', values['respawn']) and not node.ends,
        respawn_delay=RESPAWN_DELAY_S,
        additional_env={name: profile for name in PROFILES if name not in os.environ},
    )
