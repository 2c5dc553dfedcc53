"""The demo: plays a motion file into the synthesizer. `--show-args` lists the arguments."""

from manivideo_ros.ros.launch.launching import (
    launch_description,
    motion_player,
    synthesizer,
    viewers,
)


def generate_launch_description():
    return launch_description(
        *viewers(),
        synthesizer(),
        motion_player(['motion', 'seconds']),
        config='demo.yaml',
    )
