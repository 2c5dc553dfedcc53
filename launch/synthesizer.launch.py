"""The synthesizer for any pose topics. `--show-args` lists the arguments."""

from manivideo_ros.ros.launch.launching import launch_description, synthesizer, viewers


def generate_launch_description():
    return launch_description(*viewers(), synthesizer(), config='teleop.yaml')
