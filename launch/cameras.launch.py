"""One motion seen by two cameras. `--show-args` lists the arguments.

Each camera has a namespace with its own synthesizer; config/cameras.yaml places them.
"""

from launch.substitutions import LaunchConfiguration, PathJoinSubstitution

from manivideo_ros.ros.launch.launching import (
    launch_description,
    motion_player,
    node,
    synthesizer,
    viewers,
)

CAMERAS = ('front', 'side')


def generate_launch_description():
    def below(name):
        """A name in the namespace of the whole launch."""
        return PathJoinSubstitution(['/', LaunchConfiguration('namespace'), name])

    nodes = []
    poses = [(name, below(name)) for name in ('hand_poses', 'object_poses', 'skeleton_poses')]
    for camera in CAMERAS:
        place = {'namespace': below(camera), 'remappings': poses}
        frame = {'camera_frame': f'{camera}_optical_frame'}
        nodes += [node('virtual_camera', fixed=frame, **place), synthesizer(**place)]
    return launch_description(
        *viewers('cameras.rviz', [below(camera) for camera in CAMERAS], poses),
        motion_player(['motion']),
        *nodes,
        config='cameras.yaml',
    )
