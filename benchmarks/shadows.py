"""The time of a frame with light and shadows, beside that of one without.

`python -m benchmarks.shadows` prints the table and writes benchmarks/results/shadows.json. One
process, no ROS: two hands turn the mug at 640x480 on the default engine. Frames in the painted base
image, without a support plane, alternate with frames as the nodes make them: in the light that is
estimated from the hand reference, over a support plane. Values are lower quartiles over frames,
which are least sensitive to other load.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

from benchmarks.report import RESULTS, check, machine, write_results
from manivideo_ros.camera.background import BACKGROUND, load_background
from manivideo_ros.camera.viewing import default_camera
from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.engine.spec import find_spec
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.reference import HAND_REFERENCE, load_hand_reference
from manivideo_ros.hand.state import SIDES
from manivideo_ros.model.checkpoint import read_config
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.pose_buffer import Snapshot
from manivideo_ros.motion.shipped import motion_named
from manivideo_ros.objects.named import load_mesh
from manivideo_ros.synthesizer import Scene, Synthesizer, scene_for

SIZE, FRAMES, WARM_UP, THREADS = (640, 480), 80, 8, 2
MOST = 1.3
PLANE = np.array([0.0, 0.0, 1.0, 0.0])


def synthesizer(scene: Scene) -> Synthesizer:
    """That of the default engine."""
    spec = find_spec('tiny')
    session = StreamingSession(Engine(spec.seen_by(read_config(spec.weights), *SIZE), THREADS))
    return Synthesizer(session, {side: load_hand(side) for side in SIDES}, scene, THREADS, SIZE)


def measure(motion: Motion) -> dict[str, dict[str, float]]:
    """Milliseconds of each stage, without and with light and shadows."""
    lit = scene_for(
        find_spec('tiny').weights,
        {name: load_mesh(track.mesh, track.scale) for name, track in motion.objects.items()},
        load_background(BACKGROUND),
        load_hand_reference(HAND_REFERENCE),
    )
    plain = replace(lit, light=None, lit=False)
    made = {'without': (synthesizer(plain), None), 'with': (synthesizer(lit), PLANE)}
    first = motion.frame(len(motion) // 2)
    camera = default_camera(first.hands, first.objects.values(), *SIZE)
    times: dict[str, dict[str, list[float]]] = {name: {} for name in made}
    for index in range(FRAMES + WARM_UP):
        snapshot = Snapshot.of(index, *motion.frame(2 * index % len(motion)))
        for name, (frames, plane) in made.items():
            stages = frames.step(camera, snapshot, plane=plane).stages_ms
            if index >= WARM_UP:
                for stage, ms in {**stages, 'all': sum(stages.values())}.items():
                    times[name].setdefault(stage, []).append(ms)
    return {
        name: {stage: round(float(np.percentile(ms, 25)), 2) for stage, ms in of.items()}
        for name, of in times.items()
    }


def main() -> int:
    found = measure(motion_named('turn_mug'))
    for name, row in found.items():
        print(f'{name} light and shadows: {row} ms')
    ratio = round(found['with']['all'] / found['without']['all'], 2)
    passed = check('ratio', f'{ratio} of the time without, at most {MOST}', ratio <= MOST)
    write_results(
        RESULTS / 'shadows.json',
        {'machine': machine(), 'size': SIZE, 'ms': found, 'ratio': ratio},
    )
    return int(not passed)


if __name__ == '__main__':
    sys.exit(main())
