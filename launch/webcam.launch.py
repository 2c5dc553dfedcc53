"""Bare hands before a webcam, or in a video file, to video. `--show-args` tells the arguments."""

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

WEBCAM = {
    'camera': ('0', 'Number of the camera, as OpenCV counts them.'),
    'file': ('', "Video file to play once instead of a camera; '' for the camera."),
    'fov_y': ('0.79', "The camera's vertical field of view, rad."),
    'holds': ('false', 'Whether a hand holds the first object, at a fixed place in the palm.'),
    'holding_side': ('right', 'The hand that holds it: left or right.'),
}


def generate_launch_description():
    return LaunchDescription(
        [
            *declared(WEBCAM, SCENE, LOOKS, config_of('teleop.yaml'), EVERY),
            own('webcam', ['camera', 'file', 'fov_y']),
            own(
                'object_source',
                renamed={'object_ids': 'ids', 'holding_side': 'grasp_side'},
                only_if='holds',
                fixed={'source': 'grasp'},
            ),
            synthesizer(),
            *looks(),
        ]
    )
