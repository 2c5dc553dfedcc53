"""The synthesizer alone, for your own pose topics. `--show-args` tells the arguments."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'manivideo_ros'


def generate_launch_description():
    share = FindPackageShare(PACKAGE)
    profile = PathJoinSubstitution([share, 'config', 'fastdds.xml'])
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'config',
                default_value=PathJoinSubstitution([share, 'config', 'teleop.yaml']),
                description='Parameter file; those in config/ of this package are examples.',
            ),
            DeclareLaunchArgument(
                'namespace', default_value='', description='Namespace of the node and its topics.'
            ),
            DeclareLaunchArgument(
                'autostart',
                default_value='true',
                description='Whether the node configures and activates itself.',
            ),
            LifecycleNode(
                package=PACKAGE,
                executable='synthesizer',
                name='synthesizer',
                namespace=LaunchConfiguration('namespace'),
                output='screen',
                parameters=[
                    LaunchConfiguration('config'),
                    {'autostart': LaunchConfiguration('autostart')},
                ],
                additional_env={
                    'FASTRTPS_DEFAULT_PROFILES_FILE': profile,
                    'FASTDDS_DEFAULT_PROFILES_FILE': profile,
                },
            ),
        ]
    )
