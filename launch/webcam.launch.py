"""Bare hands before a webcam, or in a video file, to video. `--show-args` lists the arguments."""

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

WEBCAM = {
    'camera': (of_config('0'), 'Number of the camera, as OpenCV counts them.'),
    'file': (of_config(), "Video file to play once instead of a camera; '' for the camera."),
    'fov_y': (of_config('0.79'), "The camera's vertical field of view, rad."),
    'holds': ('false', 'Whether a hand holds the first object, at a fixed place in the palm.'),
    'holding_side': (of_config('right'), 'The hand that holds it: left or right.'),
}


def generate_launch_description():
    return described(
        [WEBCAM, SCENE, LOOKS, config_of('teleop.yaml'), EVERY],
        *looks(),
        own('webcam', ['camera', 'file', 'fov_y'], ends=True),
        own(
            'object_source',
            renamed={'object_ids': 'ids', 'holding_side': 'grasp_side'},
            only_if='holds',
            fixed={'source': 'grasp'},
        ),
        synthesizer(),
    )
