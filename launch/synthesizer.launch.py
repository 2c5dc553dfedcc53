"""The synthesizer for your own pose topics. `--show-args` tells the arguments."""

from launch import LaunchDescription

from manivideo_ros.ros.launching import EVERY, LOOKS, SCENE, config_of, declared, looks, synthesizer


def generate_launch_description():
    return LaunchDescription(
        [
            *declared(SCENE, LOOKS, config_of('teleop.yaml'), EVERY),
            synthesizer(),
            *looks(),
        ]
    )
