"""A person and a robot beside each other, of one motion. `--show-args` lists the arguments.

Each has a namespace with its own synthesizer. Hand poses move both; with moved_by:=joint_states the
robot's joints move it, and hand poses the person.
"""

from launch.substitutions import LaunchConfiguration, PathJoinSubstitution

from manivideo_ros.ros.launch.launching import (
    launch_description,
    motion_player,
    synthesizer,
    viewers,
    virtual_camera,
)

EMBODIMENTS = ('human', 'robot')
SHARED = (
    'hand_poses',
    'object_poses',
    'skeleton_poses',
    'joint_states',
    'joint_trajectory',
    'display_planned_path',
    'robot_description',
    'camera/camera_info',
)


def generate_launch_description():
    def below(name):
        """A name in the namespace of the whole launch."""
        return PathJoinSubstitution(['/', LaunchConfiguration('namespace'), name])

    human, robot = map(below, EMBODIMENTS)
    shared = [(name, below(name)) for name in SHARED]
    return launch_description(
        *viewers('embodiments.rviz', [human, robot], shared, beside=True),
        motion_player(['motion', 'seconds']),
        virtual_camera('false'),
        synthesizer(namespace=human, remappings=shared, fixed={'embodiment': 'human'}),
        synthesizer(
            renamed={
                'urdf': 'robot',
                'packages': 'robot_packages',
                'moved_by': 'robot_source',
                'layers': 'robot_layers',
                'missing': 'robot_missing',
            },
            defaults={'robot_source': 'hands'},
            fixed={'embodiment': 'robot'},
            namespace=robot,
            remappings=shared,
        ),
        config='embodiments.yaml',
    )
