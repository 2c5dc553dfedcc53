"""The time of a frame at three image sizes, beside 256x256, in one run.

`python -m benchmarks.images` prints the table and writes benchmarks/results/images.json. One
process, no ROS: the demo's motion on the default engine, each size on the grid of its aspect. Two
cameras, near and far, show that painting and composition follow the pixels that hands and objects
cover. Values are lower quartiles over frames, which are least sensitive to other load.
"""

from __future__ import annotations

import sys

import numpy as np

from benchmarks.report import RESULTS, check, machine, write_results
from manivideo_ros.camera.background import BACKGROUND, load_background
from manivideo_ros.camera.viewing import default_camera
from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.engine.spec import find_spec
from manivideo_ros.geometry import Camera
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.reference import HAND_REFERENCE, load_hand_reference
from manivideo_ros.hand.state import SIDES
from manivideo_ros.model.checkpoint import read_config
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.pose_buffer import Snapshot
from manivideo_ros.motion.shipped import motion_path
from manivideo_ros.objects.named import load_mesh
from manivideo_ros.synthesizer import Synthesizer, scene_for

SIZES = ((256, 256), (640, 480), (1280, 720))
PLANE = np.array([0.0, 0.0, 1.0, 0.0])  # the table of the shipped motions
FRAMES, WARM_UP, THREADS = 60, 5, 2
MOST = 1.35  # times the time at 256x256, for 640x480
FAR = 2.0  # times the distance of the default camera


def view(motion: Motion, width: int, height: int, distance: float) -> Camera:
    """The default camera, moved away along its axis."""
    first = motion.frame(0)
    camera = default_camera(first.hands, first.objects.values(), width, height)
    moved = np.array(camera.camera_from_world)
    moved[2, 3] *= distance
    return Camera(camera.intrinsics, moved, width, height)


def measure(motion: Motion, size: tuple[int, int], distance: float) -> dict:
    """Milliseconds of each stage, and the share of the image that hands and objects cover."""
    spec = find_spec('tiny')
    spec = spec.seen_by(read_config(spec.weights), *size)
    session = StreamingSession(Engine(spec, THREADS))
    scene = scene_for(
        spec.weights,
        {name: load_mesh(track.mesh, track.scale) for name, track in motion.objects.items()},
        load_background(BACKGROUND),
        load_hand_reference(HAND_REFERENCE),
    )
    hands = {side: load_hand(side) for side in SIDES}
    synthesizer = Synthesizer(session, hands, scene, THREADS, size)
    camera = view(motion, *size, distance)
    times: dict[str, list[float]] = {}
    covered = []
    for index in range(FRAMES + WARM_UP):
        sample = motion.frame(2 * index % len(motion))
        frame = synthesizer.step(
            camera, Snapshot.of(index, sample.hands, sample.objects), plane=PLANE
        )
        if index >= WARM_UP:
            for stage, ms in {**frame.stages_ms, 'all': sum(frame.stages_ms.values())}.items():
                times.setdefault(stage, []).append(ms)
            covered.append(float((frame.mask > 0).float().mean()))
    quartiles = {s: round(float(np.percentile(ms, 25)), 2) for s, ms in times.items()}
    grid = 'x'.join(map(str, session.size))
    return {'grid': grid, 'covered': round(float(np.mean(covered)), 4), 'ms': quartiles}


def main() -> int:
    motion = load_motion(motion_path(''))
    rows = []
    for distance, name in ((1.0, 'near'), (FAR, 'far')):
        for size in SIZES:
            metrics = measure(motion, size, distance)
            rows.append({'name': f'{size[0]}x{size[1]}, {name}', 'metrics': metrics})
            pixels = metrics['covered'] * size[0] * size[1]
            print(
                f'{rows[-1]["name"]:<16} grid {metrics["grid"]}, {pixels:8.0f} pixels covered: '
                + ', '.join(f'{stage} {ms} ms' for stage, ms in metrics['ms'].items()),
                flush=True,
            )
    small, middle = (row['metrics']['ms']['all'] for row in rows[:2])
    ratio = middle / small
    passed = check('640x480', f'{ratio:.2f} <= {MOST} times 256x256', ratio <= MOST)
    write_results(RESULTS / 'images.json', {'machine': machine(), 'rows': rows})
    return 0 if passed else 1


if __name__ == '__main__':
    sys.exit(main())
