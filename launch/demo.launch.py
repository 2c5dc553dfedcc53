"""The demo: a motion file in, video out. `--show-args` lists the arguments."""

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
    'seconds': (of_config('0.0'), 'How long to play the motion, s; 0.0 plays it again and again.'),
    'play': ('true', "Whether to play a motion; 'false' waits for your own pose topics."),
}


def generate_launch_description():
    return described(
        [PLAY, SCENE, LOOKS, config_of('demo.yaml'), EVERY],
        *looks(),
        synthesizer(),
        own('motion_player', ['motion', 'seconds'], only_if='play', ends=True),
    )
