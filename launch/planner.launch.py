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
    'source': (
        'display_trajectory',
        'What moves the hand: display_trajectory (plans), joint_trajectory, joint_states or tf.',
    ),
    'topics': ('[display_planned_path]', 'Topics of the plans or joints; none with tf.'),
    'urdf': ('', "The robot's URDF file; '' for what robot_description tells."),
    'left_frames': (
        "['']",
        'Frames or links of the left hand: [shadow], [allegro], [leap] or 21, wrist first.',
    ),
    'right_frames': ("['']", 'The same of the right hand: the name of a robot hand, or 21 frames.'),
    'frame': ('', "Frame that hands are told in; '' for the root of the robot."),
    'object_topics': (
        '[monitored_planning_scene]',
        "Topics of MoveIt's objects: with planning_scene in their names PlanningScene, with "
        'attached AttachedCollisionObject, else CollisionObject.',
    ),
    'ids': ("['']", "Objects of the video; '' for all of the planning scene, in their own shapes."),
    'object_names': ("['']", "What the planning scene calls each of ids; '' the same."),
    'camera': ('true', 'Whether a virtual camera looks on; without one, a default frames hands.'),
    'camera_kind': ('look_at', 'look_at (stands still), orbit, or wrist (rides on a hand).'),
}


def generate_launch_description():
    return LaunchDescription(
        [
            *declared(PLAN, SCENE, LOOKS, config_of('planner.yaml'), EVERY),
            own(
                'hand_source',
                ['source', 'topics', 'urdf', 'left_frames', 'right_frames', 'frame', 'hand_folder'],
            ),
            own(
                'object_source',
                ['frame', 'ids'],
                renamed={'object_topics': 'topics', 'object_names': 'names'},
                fixed={'source': 'moveit'},
            ),
            own('virtual_camera', renamed={'camera_kind': 'kind'}, only_if='camera'),
            synthesizer(),
            *looks(),
        ]
    )
