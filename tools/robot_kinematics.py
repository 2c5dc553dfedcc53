"""Compares forward kinematics of URDFs with pinocchio (`pip install pin`) at random positions.

`python -m tools.robot_kinematics robot.urdf ...` prints the largest difference of the links' poses.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from manivideo_ros.files.xml_text import decode_xml
from manivideo_ros.robot.kinematics import Kinematics
from manivideo_ros.robot.urdf import read_urdf

CONFIGURATIONS = 100
THRESHOLD = 1e-6


def main() -> int:
    """The command line; 1 where a difference is above the threshold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('urdf', nargs='+', type=Path)
    worst = 0.0
    for path in parser.parse_args().urdf:
        links, depth, difference = compare(path.read_bytes())
        worst = max(worst, difference)
        print(f'{path.name}: {links} links, mimics {depth} deep, difference {difference:.1e}')
    print(f'largest difference {worst:.1e}, threshold {THRESHOLD:g}')
    return int(not worst <= THRESHOLD)


def compare(data: bytes) -> tuple[int, int, float]:
    """Number of links, depth of mimics, and the largest difference of an entry of a pose."""
    import pinocchio

    root = ElementTree.fromstring(decode_xml(data))
    mimicked = {}
    for joint in root.findall('joint'):
        for mimic in joint.findall('mimic'):
            of = (
                mimic.get('joint'),
                float(mimic.get('multiplier', 1)),
                float(mimic.get('offset', 0)),
            )
            mimicked[joint.get('name')] = of
            joint.remove(mimic)
    model = pinocchio.buildModelFromXML(ElementTree.tostring(root, 'unicode'))
    state = model.createData()
    robot = read_urdf(data)
    kinematics = Kinematics(robot)
    rng = np.random.default_rng(0)
    limits = np.clip(kinematics.limits, -3, 3)
    positions = rng.uniform(limits[:, 0], limits[:, 1], (CONFIGURATIONS, len(limits)))
    poses = kinematics.poses(positions)

    def value(name: str, given: dict[str, float], steps: int = 0) -> tuple[float, int]:
        """The position of a joint, by the definition of mimics, and how many it went through."""
        if name not in mimicked:
            return given.get(name, 0.0), steps
        of, multiplier, offset = mimicked[name]
        position, steps = value(of, given, steps + 1)
        return multiplier * position + offset, steps

    difference, depth = 0.0, 0
    for row, configuration in zip(poses, positions, strict=True):
        given = dict(zip(kinematics.joints, configuration.tolist(), strict=True))
        q = pinocchio.neutral(model)
        for n, name in enumerate(model.names):
            if n == 0:
                continue
            joint = model.joints[n]
            angle, steps = value(name, given)
            depth = max(depth, steps)
            turns = (np.cos(angle), np.sin(angle)) if joint.nq == 2 else (angle,)
            q[joint.idx_q : joint.idx_q + joint.nq] = turns
        pinocchio.forwardKinematics(model, state, q)
        pinocchio.updateFramePlacements(model, state)
        for link, pose in zip(kinematics.links, row, strict=True):
            frame = model.getFrameId(link, pinocchio.FrameType.BODY)
            other = state.oMf[frame].homogeneous
            difference = max(difference, float(np.abs(other - pose).max()))
    return len(kinematics.links), depth, difference


if __name__ == '__main__':
    sys.exit(main())
