"""The demo: a motion file in, video out. `--show-args` tells the arguments."""

from launch import LaunchDescription

from manivideo_ros.ros.launching import (
    EVERY,
    LOOKS,
    SCENE,
    config_of,
    declared,
    looks,
    own,
    synthesizer,
)

PLAY = {
    'motion': ('', "Motion file (rosbag2 of HandPoses, ObjectPoses); '' for the one that ships."),
    'seconds': ('0.0', 'How long to play the motion, s; 0.0 plays it again and again.'),
    'play': ('true', "Whether to play a motion; 'false' waits for your own pose topics."),
}


def generate_launch_description():
    return LaunchDescription(
        [
            *declared(PLAY, SCENE, LOOKS, config_of('demo.yaml'), EVERY),
            synthesizer(),
            own('motion_player', ['motion', 'seconds'], only_if='play'),
            *looks(),
        ]
    )
