"""Multi-Layer Occlusion compared with ray casting with Embree, on the same scenes in one run.

`python -m benchmarks.mlo` prints the table and writes benchmarks/results/mlo.json. Two default
hands and an object of 5,000 triangles move; every frame poses them, rebuilds everything and returns
normals, depths and confidences of seven layers. Embree (embreex, as trimesh uses it) is given the
posed vertices and returns only face indices, a lower bound of its cost. All are timed in turn, a
few frames each, as in a stream; the reported value is the lower quartile over frames, which is
least sensitive to other load on the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh

from benchmarks.report import RESULTS, machine, write_results
from manivideo_ros.drawing.base_image import Material, Painter, hand_material
from manivideo_ros.drawing.views import object_material, six_views
from manivideo_ros.geometry import Camera, axis_angle_to_matrix, look_at, pinhole, rigid
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.hand.state import HandState
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import hand_surface, object_surface
from manivideo_ros.objects.household.shapes import generate

OBJECT = 'pitcher'
TURNS = {256: 20, 512: 12, 1024: 5}
BURST = 4
EMBREE_THRESHOLD, THREADS_THRESHOLD = 11.0, 1.5  # times faster


def hand_state(side: str, rng: np.random.Generator) -> HandState:
    """A hand whose fingers bend around the object."""
    sign = 1 if side == 'right' else -1
    theta = rng.normal(size=(15, 3)) * 0.1
    theta[:12, 2] += sign * 0.5
    rotation = axis_angle_to_matrix([0, 0, rng.normal() * 0.2]) @ axis_angle_to_matrix([1.4, 0, 0])
    position = np.array([sign * 0.14, 0.0, 0.05]) + rng.normal(size=3) * 0.01
    return HandState(theta.reshape(-1), np.zeros(10), rotation, position)


def poses(seed: int) -> list:
    """Right hand, left hand, object."""
    rng = np.random.default_rng(seed)
    turn = axis_angle_to_matrix(rng.normal(size=3) * 0.4)
    return [hand_state('right', rng), hand_state('left', rng), rigid(turn, (0, 0, 0.03))]


def camera(size: int) -> Camera:
    """A camera in which hands and object cover about a third of the image."""
    eye = (0.02, -0.36, 0.35)
    return Camera(pinhole(size, size, 0.7), look_at(eye, (0, 0, 0.02)), size, size)


def surfaces() -> list:
    """Right hand, left hand, object."""
    hands = [hand_surface(load_hand(side)) for side in ('right', 'left')]
    return [*hands, object_surface(generate(OBJECT))]


def embree(rasterizer: Rasterizer, size: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Jobs that cast a ray per layer and pixel: of the image; of each layer's bounding box."""
    col, row = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    pixels = np.stack([col, row, np.ones_like(col)], -1)
    rays = (pixels @ np.linalg.inv(camera(size).intrinsics).T).astype(np.float32)
    origins = np.zeros((size * size, 3), np.float32)
    vertices = rasterizer.camera_vertices.numpy()
    faces = [rasterizer.faces[rasterizer.face_layer == layer] for layer in range(7)]

    def cast(layer: int, directions: np.ndarray) -> None:
        scene = rtcore_scene.EmbreeScene()
        TriangleMesh(scene, vertices, faces[layer])
        scene.run(origins[: len(directions)], directions)

    def image() -> None:
        for layer in range(7):
            cast(layer, rays.reshape(-1, 3))

    def rectangles() -> None:
        for layer, covered in enumerate(rasterizer.buffers.face_index.numpy() >= 0):
            rows, cols = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
            if len(rows):
                window = rays[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
                cast(layer, np.ascontiguousarray(window).reshape(-1, 3))

    return image, rectangles


def painters() -> list[Painter]:
    """Painters of the base image at 256 from the surface at 512, on one thread and on two."""
    mesh, drawn = generate(OBJECT), surfaces()
    grey = HandReference(np.full((128, 128, 3), 170, np.uint8), np.ones((128, 128), np.uint8))
    materials: list[Material] = [hand_material(s.hand, grey) for s in drawn[:2]]
    materials.append(object_material(mesh, six_views(mesh)))
    return [Painter(Rasterizer(drawn, 512, 512, threads=t, merge=True), materials) for t in (1, 2)]


def timed(jobs: dict[str, Callable[[int], object]], turns: int) -> dict[str, float]:
    """Lower quartile of each job's milliseconds per frame.

    A turn is BURST frames of every job; the first turn and each turn's first frame are not counted.
    """
    spent: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(turns):
        for name, job in jobs.items():
            for frame in range(BURST):
                start = time.perf_counter()
                job(turn * BURST + frame)
                if turn and frame:
                    spent[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.percentile(values, 25)) for name, values in spent.items()}


def bench_size(size: int) -> dict:
    """One row of the results."""
    view, moves = camera(size), [poses(seed) for seed in range(12)]
    one, two = (Rasterizer(surfaces(), size, size, threads=t) for t in (1, 2))
    two.render(view, moves[0])
    covered = float((two.buffers.nearest_layer >= 0).float().mean())
    image, rectangles = embree(two, size)
    jobs: dict[str, Callable[[int], object]] = {
        'mlo_2_threads_ms': lambda i: two.render(view, moves[i % 12]),
        'mlo_1_thread_ms': lambda i: one.render(view, moves[i % 12]),
    }
    metrics = timed(jobs, 3 * TURNS[size])
    jobs['embree_ms'] = lambda i: image()
    jobs['embree_in_rectangles_ms'] = lambda i: rectangles()
    metrics |= {k: v for k, v in timed(jobs, TURNS[size]).items() if k.startswith('embree')}
    best = metrics['mlo_2_threads_ms']
    metrics['times_faster_than_embree'] = metrics['embree_ms'] / best
    metrics['times_faster_than_embree_in_rectangles'] = metrics['embree_in_rectangles_ms'] / best
    metrics['times_faster_than_1_thread'] = metrics['mlo_1_thread_ms'] / best
    metrics['covered'] = covered
    return {'name': f'mlo {size}x{size}x7', 'metrics': metrics}


def bench_base() -> dict:
    """Layers at 256 and the base image painted from 512, as the synthesizer node draws them."""
    view, moves = camera(256), [poses(seed) for seed in range(12)]
    one, two = painters()
    layers = Rasterizer(surfaces(), 256, 256)

    def chain(i: int) -> None:
        layers.render(view, moves[i % 12])
        two.paint(view, moves[i % 12])

    jobs = {
        'base_2_threads_ms': lambda i: two.paint(view, moves[i % 12]),
        'base_1_thread_ms': lambda i: one.paint(view, moves[i % 12]),
        'layers_and_base_2_threads_ms': chain,
    }
    return {'name': 'base image 256x256', 'metrics': timed(jobs, 40)}


def main() -> None:
    """Measure, print and write the results."""
    rows = [bench_size(size) for size in TURNS] + [bench_base()]
    for row in rows:
        print(row['name'])
        for name, value in row['metrics'].items():
            print(f'  {name:<42}{value:9.2f}')
    at_512 = rows[1]['metrics']
    embree_times = at_512['times_faster_than_embree']
    thread_times = at_512['times_faster_than_1_thread']
    print(f'512x512x7 on 2 threads: {embree_times:.1f} times faster than Embree ', end='')
    print(f'(threshold {EMBREE_THRESHOLD:g}), ', end='')
    print(f'{thread_times:.2f} times faster than on 1 (threshold {THREADS_THRESHOLD:g})')
    write_results(RESULTS / 'mlo.json', {'machine': machine(), 'rows': rows})


if __name__ == '__main__':
    main()
