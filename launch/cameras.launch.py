"""One motion, seen by two cameras at once. `--show-args` lists the arguments.

Each camera has a namespace with a synthesizer of its own; where they stand is in config/.
"""

from launch.substitutions import LaunchConfiguration, PathJoinSubstitution

from manivideo_ros.ros.launch.launching import (
    EVERY,
    LOOKS,
    SCENE,
    config_of,
    described,
    looks,
    of_config,
    own,
    synthesizer,
)

PLAY = {
    'motion': (
        of_config(),
        "Motion file (rosbag2 of HandPoses, ObjectPoses); '' for the one that ships.",
    ),
    'play': ('true', "Whether to play a motion; 'false' waits for your own pose topics."),
}
CAMERAS = ('front', 'side')


def generate_launch_description():
    def below(name):
        """A name in the namespace that all of this is in."""
        return PathJoinSubstitution(['/', LaunchConfiguration('namespace'), name])

    nodes = []
    for camera in CAMERAS:
        poses = [(name, below(name)) for name in ('hand_poses', 'object_poses', 'skeleton_poses')]
        place = {'namespace': below(camera), 'remappings': poses}
        frame = {'camera_frame': f'{camera}_optical_frame'}
        nodes += [own('virtual_camera', fixed=frame, **place), synthesizer(**place)]
    return described(
        [PLAY, SCENE, LOOKS, config_of('cameras.yaml'), EVERY],
        *looks('cameras.rviz', videos=[below(camera) for camera in CAMERAS]),
        own('motion_player', ['motion'], only_if='play', ends=True),
        *nodes,
    )
