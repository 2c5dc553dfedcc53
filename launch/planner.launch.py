"""A robot hand and MoveIt's planning scene to video. `--show-args` lists the arguments."""

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

PLAN = {
    'source': (
        of_config('display_trajectory'),
        'What moves the hand: display_trajectory (plans), joint_trajectory, joint_states or tf.',
    ),
    'topics': (
        of_config('[display_planned_path]'),
        'Topics of the plans or joints; none with tf.',
    ),
    'urdf': (of_config(), "The robot's URDF file; '' for what robot_description tells."),
    'left_frames': (
        of_config(),
        'Frames or links of the left hand: [shadow], [allegro], [leap] or 21, wrist first.',
    ),
    'right_frames': (
        of_config(),
        'The same of the right hand: the name of a robot hand, or 21 frames.',
    ),
    'frame': (of_config(), "Frame that hands are told in; '' for the root of the robot."),
    'object_topics': (
        of_config('[monitored_planning_scene]'),
        "Topics of MoveIt's objects: with planning_scene in their names PlanningScene, with "
        'attached AttachedCollisionObject, else CollisionObject.',
    ),
    'ids': (
        of_config(),
        "Objects of the video; '' for all of the planning scene, in their own shapes.",
    ),
    'object_names': (of_config(), "What the planning scene calls each of ids; '' the same."),
    'camera': ('true', 'Whether a virtual camera looks on; without one, a default frames hands.'),
    'camera_kind': (
        of_config('look_at'),
        'look_at (stands still), orbit, or wrist (rides on a hand).',
    ),
}


def generate_launch_description():
    return described(
        [PLAN, SCENE, LOOKS, config_of('planner.yaml'), EVERY],
        *looks(),
        own(
            'hand_source',
            ['source', 'topics', 'urdf', 'left_frames', 'right_frames', 'frame', 'hand_folder'],
            defaults={'source': 'display_trajectory', 'topics': ['display_planned_path']},
        ),
        own(
            'object_source',
            ['frame', 'ids'],
            renamed={'object_topics': 'topics', 'object_names': 'names'},
            defaults={'topics': ['monitored_planning_scene'], 'ids': ['']},
            fixed={'source': 'moveit'},
        ),
        own('virtual_camera', renamed={'camera_kind': 'kind'}, only_if='camera'),
        synthesizer(),
    )
