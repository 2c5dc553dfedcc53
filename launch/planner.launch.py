"""A robot hand and MoveIt's planning scene to video. `--show-args` lists the arguments."""

from manivideo_ros.ros.launch.launching import (
    launch_description,
    node,
    synthesizer,
    viewers,
    virtual_camera,
)


def generate_launch_description():
    return launch_description(
        *viewers(),
        node(
            'hand_source',
            ['source', 'topics', 'urdf', 'left_frames', 'right_frames', 'frame', 'hand_folder'],
            defaults={'source': 'display_trajectory', 'topics': ['display_planned_path']},
        ),
        node(
            'object_source',
            ['frame', 'ids'],
            renamed={'object_topics': 'topics', 'object_names': 'names'},
            defaults={'topics': ['monitored_planning_scene'], 'ids': ['']},
            fixed={'source': 'moveit'},
        ),
        virtual_camera('true'),
        synthesizer(),
        config='planner.yaml',
    )
