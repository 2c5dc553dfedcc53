"""Fit the finger poses of npm's iwer 2.5.0; writes the file that manivideo_ros/hand/poses.py reads.

    npm pack iwer@2.5.0 && tar xzf iwer-2.5.0.tgz
    python tools/build_hand_poses.py package manivideo_ros/assets/hand/poses.json

The package (MIT, Copyright (c) Meta Platforms, Inc. and affiliates) holds 25 WebXR joints as
column-major 4x4 matrices for each of three poses of a left hand.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np

from manivideo_ros.hand.poses import mirror_theta
from manivideo_ros.inputs.keypoints import fit
from manivideo_ros.inputs.webxr import keypoints_from_joints


def read_joints(file: Path) -> np.ndarray:
    """[25, 3] joint positions of one of the package's pose files, metres."""
    matrices = re.findall(r'offsetMatrix: \[([^\]]*)\]', file.read_text())
    numbers = [[float(x) for x in m.split(',') if x.strip()] for m in matrices]
    return np.array(numbers).reshape(-1, 4, 4)[:25, 3, :3]


def main(package: Path, out: Path) -> None:
    """Fit each pose and write right-hand theta to a JSON file."""
    poses = {}
    for name in ('relaxed', 'pinch', 'point'):
        joints = read_joints(package / f'lib/device/configs/hand/{name}.js')
        found = fit(keypoints_from_joints(joints[None]), 'left')
        print(f'{name}: mean error {1000 * found.error.mean():.1f} mm')
        poses[name] = [round(float(x), 4) for x in mirror_theta(found.theta[0])]
    out.write_text(json.dumps({'source': 'npm iwer 2.5.0, MIT', 'right': poses}) + '\n')


if __name__ == '__main__':
    main(Path(sys.argv[1]), Path(sys.argv[2]))
