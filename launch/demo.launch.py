"""The demo: a motion file in, video out, optionally recorded. `--show-args` tells the arguments."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'manivideo_ros'

ARGUMENTS = {
    'motion': ('', "Motion file (rosbag2 of HandPoses, ObjectPoses); '' for the one that ships."),
    'seconds': ('0.0', 'How long to play the motion, s; 0.0 plays it again and again.'),
    'play': ('true', "Whether to play a motion; 'false' waits for your own pose topics."),
    'record': ('false', 'Whether to record poses and video into a rosbag2 (MCAP).'),
    'bag': ('', "Folder of the recording; '' for one named by the time."),
    'checkpoint': ('', "Weights (safetensors); '' for those that ship."),
    'object_ids': ('[mug]', 'The ids by which ObjectPoses name the objects.'),
    'object_meshes': ('[mug]', 'Of each: a generated shape, a mesh file or a package:// URI.'),
    'object_scales': ('[1.0]', 'Of each: metres per unit of the mesh file.'),
    'background': ('', "Background picture; '' for the one that ships."),
    'hand_appearance': (
        '',
        "Picture of a hand with the skin and sleeve wanted; '' for the shipped.",
    ),
    'autostart': ('true', 'Whether the synthesizer configures and activates itself.'),
    'config': ('demo.yaml', 'Parameter file in config/ of this package.'),
    'namespace': ('', 'Namespace of all nodes and topics.'),
}


def generate_launch_description():
    share = FindPackageShare(PACKAGE)
    config = PathJoinSubstitution([share, 'config', LaunchConfiguration('config')])
    profile = PathJoinSubstitution([share, 'config', 'fastdds.xml'])
    common = {
        'package': PACKAGE,
        'namespace': LaunchConfiguration('namespace'),
        'output': 'screen',
        'additional_env': {
            'FASTRTPS_DEFAULT_PROFILES_FILE': profile,
            'FASTDDS_DEFAULT_PROFILES_FILE': profile,
        },
    }
    names = (
        'autostart',
        'checkpoint',
        'object_ids',
        'object_meshes',
        'object_scales',
        'background',
        'hand_appearance',
    )
    synthesizer = {name: LaunchConfiguration(name) for name in names}
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            LifecycleNode(
                name='synthesizer',
                executable='synthesizer',
                parameters=[config, synthesizer],
                **common,
            ),
            Node(
                name='motion_player',
                executable='motion_player',
                parameters=[
                    config,
                    {name: LaunchConfiguration(name) for name in ('motion', 'seconds')},
                ],
                condition=IfCondition(LaunchConfiguration('play')),
                **common,
            ),
            Node(
                name='recorder',
                executable='recorder',
                parameters=[config, {'bag': LaunchConfiguration('bag')}],
                condition=IfCondition(LaunchConfiguration('record')),
                **common,
            ),
        ]
    )
