"""A robot's own hand, by URDF and joint states, to video. `--show-args` lists the arguments."""

from manivideo_ros.ros.launch.launching import (
    Switch,
    launch_description,
    node,
    synthesizer,
    viewers,
    virtual_camera,
)

ROBOT = {'urdf': 'robot', 'packages': 'robot_packages'}


def generate_launch_description():
    return launch_description(
        *viewers(),
        synthesizer(
            renamed={
                **ROBOT,
                'moved_by': 'robot_source',
                'joint_states': 'robot_joint_states',
                'plans': 'robot_plans',
                'layers': 'robot_layers',
                'missing': 'robot_missing',
            },
            defaults={'object_ids': [''], 'object_meshes': [''], 'object_scales': [1.0]},
            fixed={'embodiment': 'robot'},
        ),
        node(
            'motion_player',
            ['motion', 'seconds'],
            renamed=ROBOT,
            defaults={'robot': 'demo', 'wait_for': 1},
            switch=Switch('play', 'Whether the robot follows the hands of a motion.'),
            ends=True,
        ),
        virtual_camera('false'),
        config='teleop.yaml',
    )
