"""The action server that makes synthetic variations of recorded episodes.

`--show-args` lists the arguments.
"""

from manivideo_ros.ros.launch.launching import launch_description, node


def generate_launch_description():
    return launch_description(node('augmenter', ['bag_folders', 'out_folder', 'checkpoint']))
