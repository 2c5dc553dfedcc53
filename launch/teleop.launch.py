"""A headset, gloves, hand tracker or robot hand to video. `--show-args` lists the arguments."""

from manivideo_ros.ros.launch.launching import (
    Switch,
    launch_description,
    node,
    synthesizer,
    viewers,
    virtual_camera,
)

HANDS = (
    'source',
    'topics',
    'sides',
    'type',
    'axes',
    'unit',
    'frame',
    'left_wrist',
    'right_wrist',
    'left_elbow',
    'right_elbow',
    'left_frames',
    'right_frames',
    'urdf',
    'hand_folder',
)


def generate_launch_description():
    return launch_description(
        *viewers(),
        node('hand_source', HANDS),
        node(
            'object_source',
            renamed={
                'object_source': 'source',
                'object_topics': 'topics',
                'object_ids': 'ids',
                'object_names': 'names',
            },
            switch=Switch('objects', 'Whether to start an object_source for object poses.'),
            defaults={'source': 'tf'},
        ),
        virtual_camera('false'),
        synthesizer(),
        config='teleop.yaml',
    )
