"""Author the shipped motions and write them as bags into manivideo_ros/assets/motion/.

    python tools/build_motion.py [name ...]

Needs the package's environment and trimesh, and about a minute per motion on two cores. Prints the
deepest interpenetration over every eighth frame.
"""

from __future__ import annotations

import shutil
import sys

import torch

from manivideo_ros.motion.authoring.authored import MOTIONS, author
from manivideo_ros.motion.authoring.check import ContactMeter
from manivideo_ros.motion.files import save_motion
from manivideo_ros.motion.shipped import MOTIONS as SHIPPED
from manivideo_ros.objects.household.shapes import generate


def build(name: str) -> None:
    """Author one motion and replace its bag."""
    motion = author(name)
    made = {i: generate(track.mesh) for i, track in motion.objects.items()}
    meter = ContactMeter(motion, {i: (m.vertices, m.faces) for i, m in made.items()})
    frames = [meter.frame(index) for index in range(0, len(motion), 8)]
    depth, hands, table = (
        1000 * max(getattr(frame, part) for frame in frames) for part in ('depth', 'hands', 'table')
    )
    folder = SHIPPED / name
    shutil.rmtree(folder, ignore_errors=True)
    save_motion(motion, folder)
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1000
    print(
        f'{name}: {len(motion)} frames, {size:.0f} KB; deepest: object {depth:.1f} mm,'
        f' other hand {hands:.1f} mm, table {table:.1f} mm'
    )


def main() -> None:
    """Build the motions named on the command line, or all."""
    torch.set_num_threads(1)
    for name in sys.argv[1:] or MOTIONS:
        build(name)


if __name__ == '__main__':
    main()
