"""Recorded episodes in, synthetic ones out, as an action. `--show-args` tells the arguments."""

from launch import LaunchDescription

from manivideo_ros.ros.launching import EVERY, declared, own

AUGMENTER = {
    'bag_folders': ("['']", 'Folders that goals may name recorded bags in: at least one.'),
    'out_folder': ('', 'Folder that the outputs of goals lie under: must be given.'),
    'checkpoint': ('', "Weights (safetensors); '' for the ones that ship."),
}


def generate_launch_description():
    return LaunchDescription(
        [*declared(AUGMENTER, EVERY), own('augmenter', AUGMENTER, config=False)]
    )
