"""The synthesizer for your own pose topics. `--show-args` lists the arguments."""

from manivideo_ros.ros.launch.launching import (
    EVERY,
    LOOKS,
    SCENE,
    config_of,
    described,
    looks,
    synthesizer,
)


def generate_launch_description():
    return described(
        [SCENE, LOOKS, config_of('teleop.yaml'), EVERY],
        *looks(),
        synthesizer(),
    )
