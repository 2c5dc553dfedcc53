"""Headset, gloves, hand tracker or robot hand to video. `--show-args` lists the arguments."""

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

HANDS = {
    'source': (
        of_config('openxr'),
        'What publishes: openxr, isaac, manus, manus_skeleton, mediapipe, ultraleap, leap_frame, '
        'tf, joint_states, joint_trajectory or display_trajectory.',
    ),
    'topics': (
        of_config('[left_hand, right_hand]'),
        "The source's topics: openxr, mediapipe one of each hand; isaac [xr_teleop/hand]; "
        'manus [manus_glove_0, manus_glove_1]; none with tf.',
    ),
    'sides': (of_config(), "left or right of each topic of one hand; '' where its name tells."),
    'type': (of_config(), "Message type of the same fields from another package; '' the source's."),
    'axes': (of_config(), "Axes of the source: ros (z up), y_up or unity; '' for its own."),
    'unit': (of_config('0.0'), "Metres per unit, 0.001 for millimetres; 0.0 for the source's."),
    'frame': (of_config(), "Frame of what is published where messages name none; '' for world."),
    'left_wrist': (of_config(), "Where a left glove's wrist is: a frame on TF, or topic:NAME."),
    'right_wrist': (of_config(), 'The same of a right glove: a frame on TF, or topic:NAME.'),
    'left_frames': (
        of_config(),
        'With tf and joints: 21 frames of the left hand, wrist first, - for none; or [shadow], '
        '[allegro], [leap].',
    ),
    'right_frames': (
        of_config(),
        'The same of the right hand: 21 frames, or the name of a robot hand.',
    ),
    'urdf': (
        of_config(),
        "With joints: the robot's URDF file; '' for what robot_description tells.",
    ),
}
OBJECTS = {
    'objects': ('false', 'Whether an object_source tells where the objects are.'),
    'object_source': (
        of_config('tf'),
        'What publishes: pose, pose_array, detections, mocap, moveit, tf, or grasp (a hand holds '
        'it).',
    ),
    'object_topics': (of_config('[object_pose]'), 'Topics of the objects; not with tf and grasp.'),
    'object_names': (of_config(), "What the source calls each of object_ids; '' the same."),
}
CAMERA = {
    'camera': ('false', 'Whether a virtual camera looks on; without one, a default frames hands.'),
    'camera_kind': (
        of_config('look_at'),
        'look_at (stands still), orbit, or wrist (rides on a hand).',
    ),
}


def generate_launch_description():
    return described(
        [HANDS, OBJECTS, CAMERA, SCENE, LOOKS, config_of('teleop.yaml'), EVERY],
        *looks(),
        own('hand_source', [*HANDS, 'hand_folder']),
        own(
            'object_source',
            renamed={
                'object_source': 'source',
                'object_topics': 'topics',
                'object_ids': 'ids',
                'object_names': 'names',
            },
            only_if='objects',
            defaults={'source': 'tf'},
        ),
        own('virtual_camera', renamed={'camera_kind': 'kind'}, only_if='camera'),
        synthesizer(),
    )
