"""Hands before a webcam, or in a video file, to video: generated hands in place of the person's.

The background is the camera's own image without the person's hands; live_background:=false shows
a background image instead. `--show-args` lists the arguments.
"""

from manivideo_ros.ros.launch.launching import (
    Switch,
    launch_description,
    node,
    synthesizer,
    viewers,
)


def generate_launch_description():
    return launch_description(
        *viewers(),
        node('webcam', ['camera', 'file', 'fov_y', 'calibration'], ends=True),
        node(
            'object_source',
            renamed={'object_ids': 'ids', 'holding_side': 'grasp_side'},
            switch=Switch('holds', 'Whether a hand holds the first object, fixed in the palm.'),
            fixed={'source': 'grasp'},
        ),
        synthesizer(),
        config='webcam.yaml',
    )
