"""A robot hand and MoveIt's planning scene to video. `--show-args` tells the arguments."""

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

PLAN = {
    'left_frames': ("['']", 'On TF: 21 frames of the left hand, wrist first; - for none.'),
    'right_frames': ("['']", 'On TF: 21 frames of the right hand, wrist first; - for none.'),
    'frame': ('world', "The plan's frame, that hands are told in."),
    'object_topics': ('[collision_object]', 'Topics of moveit_msgs/CollisionObject.'),
    'object_names': ("['']", "What the planning scene calls each of object_ids; '' the same."),
    'camera': ('true', 'Whether a virtual camera looks on; without one, a default frames hands.'),
    'camera_kind': ('look_at', 'look_at (stands still), orbit, or wrist (rides on a hand).'),
}


def generate_launch_description():
    return LaunchDescription(
        [
            *declared(PLAN, SCENE, LOOKS, config_of('planner.yaml'), EVERY),
            own(
                'hand_source',
                ['left_frames', 'right_frames', 'frame', 'hand_folder'],
                fixed={'source': 'tf'},
            ),
            own(
                'object_source',
                ['frame'],
                renamed={'object_topics': 'topics', 'object_ids': 'ids', 'object_names': 'names'},
                fixed={'source': 'moveit'},
            ),
            own('virtual_camera', ['frame'], renamed={'camera_kind': 'kind'}, only_if='camera'),
            synthesizer(),
            *looks(),
        ]
    )
