"""Recorded episodes in, synthetic ones out, as an action. `--show-args` lists the arguments."""

from manivideo_ros.ros.launch.launching import EVERY, described, of_config, own

AUGMENTER = {
    'bag_folders': (of_config(), 'Folders that goals may name recorded bags in: at least one.'),
    'out_folder': (of_config(), 'Folder that the outputs of goals lie under: must be given.'),
    'checkpoint': (of_config(), "Weights (safetensors); '' for the ones that ship."),
}


def generate_launch_description():
    return described([AUGMENTER, EVERY], own('augmenter', AUGMENTER))
