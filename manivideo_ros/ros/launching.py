"""What the launch files share: described arguments, nodes with the DDS profile, ways to look on.

Only the few classes of `launch` and `launch_ros` that are used here are, so that a small stand-in
serves where these cannot be installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'manivideo_ros'
# By name: default and description.
Arguments = Mapping[str, tuple[str, str]]

EVERY: Arguments = {
    'namespace': ('', 'Namespace of all nodes and topics.'),
    'use_sim_time': ('false', 'Whether time is what a simulator tells on /clock.'),
}
SCENE: Arguments = {
    'object_ids': ('[mug]', 'The ids by which ObjectPoses name the objects.'),
    'object_meshes': ('[mug]', 'Of each: a generated shape, a mesh file or a package:// URI.'),
    'object_scales': ('[1.0]', 'Of each: metres per unit of the mesh file.'),
    'background': ('', "Background picture; '' for the one that ships."),
    'hand_appearance': (
        '',
        "Picture of a hand with the skin and sleeve wanted; '' for the shipped.",
    ),
    'hand_folder': ('', "Folder of a converted MANO model; '' for the default hand."),
    'engine': ('tiny', 'Engine specification: a name in engines/ or a YAML file.'),
    'checkpoint': ('', "Weights (safetensors); '' for the engine's own."),
    'autostart': ('true', 'Whether the synthesizer configures and activates itself.'),
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
    'bag': ('', "Folder of the recording; '' for one named by the time."),
}


def config_of(default: str) -> Arguments:
    """The argument `config`."""
    return {'config': (default, 'Parameter file: a path, or a name in config/ of this package.')}


def declared(*groups: Arguments) -> list[Any]:
    """The arguments of all groups, declared."""
    return [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for group in groups
        for name, (default, description) in group.items()
    ]


def own(
    executable: str,
    arguments: Iterable[str] = (),
    *,
    renamed: Mapping[str, str] | None = None,
    fixed: Mapping[str, Any] | None = None,
    only_if: str = '',
    namespace: Any = None,
    config: bool = True,
    kind: type = Node,
    **others: Any,
) -> Any:
    """A node of this package.

    arguments: launch arguments that are parameters of the same name; renamed: parameter by launch
    argument of another name; fixed: values of parameters; only_if: the argument that must be true.
    """
    values = {**(fixed or {}), **{name: LaunchConfiguration(name) for name in arguments}}
    values |= {name: LaunchConfiguration(argument) for argument, name in (renamed or {}).items()}
    values['use_sim_time'] = LaunchConfiguration('use_sim_time')
    profile = shared('config', 'fastdds.xml')
    file = [shared('config', LaunchConfiguration('config'))] if config else []
    return kind(
        package=PACKAGE,
        executable=executable,
        name=executable,
        namespace=LaunchConfiguration('namespace') if namespace is None else namespace,
        output='screen',
        parameters=[*file, values],
        additional_env={
            'FASTRTPS_DEFAULT_PROFILES_FILE': profile,
            'FASTDDS_DEFAULT_PROFILES_FILE': profile,
        },
        **_condition(only_if),
        **others,
    )


def synthesizer(**others: Any) -> Any:
    """The synthesizer with the arguments of SCENE."""
    return own('synthesizer', SCENE, kind=LifecycleNode, **others)


def looks(rviz: str = 'manivideo.rviz', videos: Sequence[Any] = ()) -> list[Any]:
    """The nodes of LOOKS; rviz: a file in rviz/.

    videos: the namespaces that videos are in, by default the one of all; the page shows the first.
    """
    namespace = LaunchConfiguration('namespace')
    videos = videos or (namespace,)
    clock = {'use_sim_time': LaunchConfiguration('use_sim_time')}
    return [
        own('viewer', only_if='view', namespace=videos[0], config=False),
        own('recorder', ['bag'], only_if='record'),
        Node(
            package='rviz2',
            executable='rviz2',
            name='rviz2',
            namespace=namespace,
            arguments=['-d', shared('rviz', rviz)],
            parameters=[clock],
            **_condition('rviz'),
        ),
        Node(
            package='foxglove_bridge',
            executable='foxglove_bridge',
            name='foxglove_bridge',
            namespace=namespace,
            parameters=[clock],
            **_condition('foxglove'),
        ),
        *(
            Node(
                package='image_transport',
                executable='republish',
                name='republish',
                namespace=place,
                parameters=[{'in_transport': 'raw', 'out_transport': 'ffmpeg', **clock}],
                remappings=[('in', 'image_raw'), ('out/ffmpeg', 'image_raw/ffmpeg')],
                **_condition('h264'),
            )
            for place in videos
        ),
    ]


def shared(*parts: Any) -> Any:
    """A file below the package's share folder; a part that is an absolute path stands alone."""
    return PathJoinSubstitution([FindPackageShare(PACKAGE), *parts])


def _condition(argument: str) -> dict[str, Any]:
    return {'condition': IfCondition(LaunchConfiguration(argument))} if argument else {}
