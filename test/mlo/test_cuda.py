"""The CUDA code paths of the rasterizer, tested without a GPU."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import mlo_scenes as scenes
import numpy as np
import pytest
import torch
import warp as wp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mlo_cuda import as_on_cuda

from manivideo_ros import drawing, mlo
from manivideo_ros.drawing.base_image import Material, Painter
from manivideo_ros.drawing.drawing import Drawing
from manivideo_ros.drawing.horizon import HorizonMapper
from manivideo_ros.drawing.image_drawing import Surroundings
from manivideo_ros.geometry import Camera, pinhole, rigid
from manivideo_ros.hand.load import load_hand
from manivideo_ros.mlo import raster_kernels, warp_runtime
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import Surface, hand_surface, object_surface
from manivideo_ros.mlo.warp_runtime import WarpDeviceError, require_warp
from manivideo_ros.objects.household.shapes import SHAPES, generate

KERNELS = sorted(
    f'manivideo_ros.{path.parent.name}.{path.stem}'
    for room in (mlo, drawing)
    for path in Path(room.__file__).parent.glob('*_kernels.py')
)
GPUS = (75, 87, 89, 90, 120)


def snapshot(buffers):
    return {name: tensor.numpy().copy() for name, tensor in vars(buffers).items()}


def same(first, second):
    return all(np.array_equal(first[name], second[name]) for name in first)


def loose(triangles, layer=0):
    """A surface of triangles [F, 3, 3] without shared vertices."""
    corners = np.asarray(triangles, np.float32).reshape(-1, 3)
    faces = np.arange(len(corners), dtype=np.int32).reshape(-1, 3)
    uv = np.zeros((len(faces), 3, 2), np.float32)
    return Surface(corners, faces, np.full(len(faces), layer, np.int32), uv)


def straight_camera(width, height):
    """A camera at the world's origin whose frame is the world's."""
    return Camera(pinhole(width, height, 1.0), np.eye(4), width, height)


def both_ways(surfaces, size, poses, camera, **options):
    """The buffers of a frame drawn with the CPU's and with CUDA's code paths."""
    with pytest.MonkeyPatch.context() as patch:
        by_rows = Rasterizer(surfaces, *size, threads=1, **options)
        one = snapshot(by_rows.render(camera, poses))
        stream = as_on_cuda(patch)
        shared = Rasterizer(surfaces, *size, **options)
        assert not shared.on_cpu
        buffers = shared.render(camera, poses)
        stream.finish()
        return one, snapshot(buffers)


@pytest.mark.parametrize('merge', [False, True])
@pytest.mark.parametrize('present', [(True, True, True), (False, True, False)])
def test_lanes_are_bit_identical_to_one_thread_per_face(merge, present):
    poses = [pose if there else None for pose, there in zip(scenes.poses(2), present, strict=True)]
    one, two = both_ways(
        scenes.surfaces(), (96, 96), poses, scenes.camera(96), merge=merge
    )  # fmt: skip
    assert same(one, two)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.floats(-1.5, 1.5), st.floats(-1.5, 1.5), st.floats(-0.3, 1.5)] * 3),
        min_size=1,
        max_size=20,
    )
)
@example([(0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 3.0e-40, 0.0)])  # edge-on but for a denormal
def test_lanes_draw_triangles_of_any_size_and_shape_without_gaps(triangles):
    one, two = both_ways(
        [loose(triangles)], (104, 72), [np.eye(4)], straight_camera(104, 72)
    )  # fmt: skip
    assert same(one, two)
    assert np.isfinite(two['normal_map']).all()


def test_large_and_small_faces_share_a_layer_and_the_list_of_large_ones_is_reset():
    distances = np.linspace(0.4, 2.0, raster_kernels.TEAMS + 6)
    screens = [[[-4, -4, z], [4, -4, z], [0, 6, z + 0.3]] for z in distances]
    chips = [[[-0.05, -0.05, 0.35], [0.05, -0.05, 0.35], [0, 0.05, 0.5]]]
    one, two = both_ways(
        [loose(screens), loose(chips)], (96, 96), [np.eye(4)] * 2, straight_camera(96, 96)
    )
    assert same(one, two)
    with pytest.MonkeyPatch.context() as patch:
        stream = as_on_cuda(patch)
        shared = Rasterizer([loose(screens)], 96, 96)
        for _ in range(3):
            shared.render(straight_camera(96, 96), [np.eye(4)])
            stream.finish()
            assert shared.arrays['large_count'].numpy() == len(screens)


def test_one_thread_per_joint_poses_bones_like_one_thread_per_hand(monkeypatch):
    surfaces, camera = scenes.surfaces(), scenes.camera(32)
    one = Rasterizer(surfaces, 32, 32, threads=1)
    stream = as_on_cuda(monkeypatch)
    two = Rasterizer(surfaces, 32, 32)
    for seed in range(3):
        one.render(camera, scenes.poses(seed))
        two.render(camera, scenes.poses(seed))
        stream.finish()
        for name in ('bone_rotation', 'bone_origin', 'pose_feature', 'vertices'):
            first, second = (r.arrays[name].numpy() for r in (one, two))
            np.testing.assert_allclose(first, second, atol=1e-6, err_msg=name)


def test_a_chain_of_all_joints_is_posed_correctly(monkeypatch):
    hand = load_hand('right')
    surface = hand_surface(hand)
    camera, pose = scenes.camera(32), scenes.poses(1)[0]
    names = [name for name in dir(hand) if not name.startswith('__')]
    chain = type('Chain', (), {name: getattr(hand, name) for name in names})()
    chain.parents = [-1, *range(15)]
    surface = Surface(surface.vertices, surface.faces, surface.face_layer, surface.corner_uv, chain)
    one = Rasterizer([surface], 32, 32, threads=1)
    one.render(camera, [pose])
    stream = as_on_cuda(monkeypatch)
    two = Rasterizer([surface], 32, 32)
    two.render(camera, [pose])
    stream.finish()
    first, second = (r.arrays['bone_origin'].numpy() for r in (one, two))
    np.testing.assert_allclose(first, second, atol=1e-6)


def busiest_thread(box):
    """The maximum number of pixels that a CUDA thread visits, for boxes [F, 4]."""
    k = raster_kernels
    pixels = np.prod(np.maximum(box[:, 2:] - box[:, :2] + 1, 0), axis=1)
    large = pixels[pixels > k.LARGE]
    small = -(-pixels[pixels <= k.LARGE] // k.LANES)
    # The order of the list of large faces is undefined: one team may get the largest ones.
    share = -(-np.sort(large)[::-1] // k.TEAM_LANES)[: -(-len(large) // k.TEAMS)]
    return max(int(small.max(initial=0)), int(share.sum()))


@pytest.mark.parametrize('shape', SHAPES)
def test_no_thread_visits_many_pixels_of_any_shipped_object(shape):
    hands = [hand_surface(load_hand(side)) for side in ('right', 'left')]
    rasterizer = Rasterizer([*hands, object_surface(generate(shape))], 512, 512, threads=1)
    camera, poses = scenes.camera(512, 0.5), [*scenes.poses(0)[:2], np.eye(4)]
    rasterizer.write_state(camera, poses)
    rasterizer.draw(lambda band, first, last: None)
    box = rasterizer.arrays['box'].numpy().reshape(-1, 4)
    largest = np.prod(box[:, 2:] - box[:, :2] + 1, axis=1).max()
    assert largest > 900  # with one thread per face; 20,790 for the pan
    assert busiest_thread(box) <= 64
    base = np.concatenate([2 * box[:, :2], 2 * box[:, 2:] + 1], axis=1)  # of the base image
    assert busiest_thread(base) <= 256


def painter_of_two_plates():
    """A painter of two plates of different colours."""
    plate = [[[-0.2, -0.2, 0], [0.2, -0.2, 0], [0, 0.3, 0]]]
    materials = [
        Material(np.full((1, 1, 3), grey, np.uint8), np.full((1, 3, 2), 0.5, np.float32))
        for grey in (60, 200)
    ]
    return Painter(Rasterizer([loose(plate), loose(plate)], 128, 128, merge=True), materials)


LEFT, RIGHT = rigid(np.eye(3), (-0.3, 0, 1)), rigid(np.eye(3), (0.3, 0, 1))
VIEW = straight_camera(128, 128)


def test_two_paints_in_one_frame_each_show_their_own_poses(monkeypatch):
    plain = painter_of_two_plates()
    whole, kept = (plain.paint(VIEW, p)[0].clone() for p in ([LEFT, RIGHT], [LEFT, None]))
    stream = as_on_cuda(monkeypatch)
    painter, shown = painter_of_two_plates(), []
    for poses in ([LEFT, RIGHT], [LEFT, None]):
        base, _ = painter.paint(VIEW, poses)
        stream.enqueue(lambda base=base: shown.append(base.clone()))
    stream.finish()
    assert torch.equal(shown[0], whole)
    assert torch.equal(shown[1], kept)


def test_a_replayed_frame_is_not_affected_by_poses_written_for_the_next(monkeypatch):
    plain = painter_of_two_plates()
    moves = ([LEFT, RIGHT], [RIGHT, LEFT], [None, LEFT])
    expected = [plain.paint(VIEW, poses)[0].clone() for poses in moves]
    stream = as_on_cuda(monkeypatch)
    painter, shown = painter_of_two_plates(), []
    with stream.capture() as replay:
        base, _ = painter.draw()
        stream.enqueue(lambda: shown.append(base.clone()))
    for poses in moves:
        painter.rasterizer.write_state(VIEW, poses)
        replay()
    stream.finish()
    assert all(torch.equal(*pair) for pair in zip(shown, expected, strict=True))


def test_a_captured_drawing_gives_the_same_maps_as_the_cpu(monkeypatch):
    plate = [[[-0.3, -0.3, 0], [0.3, -0.3, 0], [0, 0.4, 0.1]]]
    surfaces = [loose(plate, layer) for layer in (0, 2)]
    material = Material(np.full((1, 1, 3), 90, np.uint8), np.full((1, 3, 2), 0.5, np.float32))
    background, view = np.full((60, 80, 3), 200, np.uint8), straight_camera(80, 60)
    moves = ([LEFT, RIGHT], [RIGHT, rigid(np.eye(3), (0.2, 0, 0.9))])

    def maps(drawing, given):
        buffers = snapshot(drawing.rasterizer.buffers)
        maps = {
            'base': given['base'][0],
            'colour': drawing.last().foreground.colour,
            'coverage': drawing.last().foreground.coverage,
            'horizon': given['horizon'][0],
        }
        return buffers | {name: tensor.numpy().copy() for name, tensor in maps.items()}

    def drawing():
        shapes = {
            'normal_map': (1, 7, 3, 64, 64),
            'base': (1, 3, 64, 64),
            'horizon': (1, 8, 32, 32),
        }
        given = {name: torch.zeros(shape) for name, shape in shapes.items()}
        materials = [material, material]
        made = Drawing(surfaces, materials, materials, (64, 64), (80, 60), 7, 1, given)
        made.surround(Surroundings(background))
        return made, given

    (plain, drawn), expected = drawing(), []
    for poses in moves:
        plain.pose(view, poses)
        plain.draw()
        expected.append(maps(plain, drawn))
    stream = as_on_cuda(monkeypatch)
    (captured, drawn), found = drawing(), []
    with stream.capture() as replay:
        captured.draw()
        stream.enqueue(lambda: found.append(maps(captured, drawn)))
    for poses in moves:
        captured.pose(view, poses)
        replay()
    stream.finish()
    assert all(same(*pair) for pair in zip(expected, found, strict=True))


def test_writing_waits_only_for_copies_and_never_after_a_finished_frame(monkeypatch):
    stream = as_on_cuda(monkeypatch)
    painter, done = painter_of_two_plates(), []
    painter.paint(VIEW, [LEFT, RIGHT])
    stream.enqueue(lambda: done.append('frame'))
    painter.rasterizer.write_state(VIEW, [RIGHT, LEFT])
    assert not done and not stream.idle
    stream.finish()
    painter.rasterizer.write_state(VIEW, [LEFT, RIGHT])
    assert stream.idle


def test_a_frame_allocates_no_memory(monkeypatch):
    """CUDA graphs store the addresses of a capture."""
    stream = as_on_cuda(monkeypatch)
    rasterizer = Rasterizer(scenes.surfaces(), 64, 64)
    mapper = HorizonMapper(rasterizer)
    monkeypatch.setattr(wp.array, '__init__', lambda *a, **k: pytest.fail('a new array'))
    for name in ('zeros', 'empty', 'tensor', 'full'):
        monkeypatch.setattr(torch, name, lambda *a, **k: pytest.fail('a new tensor'))
    for seed in range(2):
        rasterizer.write_state(scenes.camera(64), scenes.poses(seed))
        rasterizer.draw()
        mapper.map()
        stream.finish()


@pytest.mark.parametrize('arch', GPUS)
def test_every_kernel_compiles_for_every_gpu_architecture(arch, tmp_path):
    for name in KERNELS:
        module = import_module(name)
        if not wp.get_module(module.__name__).kernels:
            continue  # a module of functions only
        (artifact,) = wp.compile_aot_module(module, arch=arch, module_dir=tmp_path, use_ptx=True)
        text = Path(artifact).read_text()
        assert f'.target sm_{arch}' in text
        for kernel in wp.get_module(module.__name__).kernels:
            assert f'.entry {kernel}' in text
        if name == 'raster_kernels':
            assert 'atom.global.max.u64' in text or 'red.global.max.u64' in text


def without_cuda(monkeypatch, **answers):
    """Warp reports these values about CUDA, while torch has a GPU."""
    known = {'get_cuda_device_count': 0, 'get_cuda_toolkit_version': (13, 4)} | answers
    for name, answer in known.items():
        monkeypatch.setattr(wp, name, lambda answer=answer: answer)
    monkeypatch.setattr(torch.cuda, 'current_device', lambda: 1)


@pytest.mark.parametrize(
    ('device', 'answers', 'reason'),
    [
        (
            'cuda',
            {'get_cuda_driver_version': (12, 8)},
            'supports CUDA 12.8; Warp .* CUDA 13.0 or newer',
        ),
        ('cuda:0', {'get_cuda_driver_version': None}, 'cannot be loaded by Warp; .* CUDA 13.0 or'),
        ('cuda', {'get_cuda_toolkit_version': None}, 'has no CUDA. Install'),
        ('cuda', {'get_cuda_device_count': 1}, 'cuda: the last GPU that Warp has is cuda:0'),
        ('cuda:2', {'get_cuda_device_count': 2}, 'cuda:2: the last GPU that Warp has is cuda:1'),
    ],
)
def test_a_gpu_that_warp_cannot_use_is_rejected_with_a_fix(monkeypatch, device, answers, reason):
    without_cuda(monkeypatch, **answers)
    with pytest.raises(WarpDeviceError, match=reason) as refused:
        require_warp(device)
    assert '\n' not in str(refused.value)
    assert 'or choose a backend that computes on the CPU' in str(refused.value)
    with pytest.raises(WarpDeviceError, match=reason):
        Rasterizer([], 32, 32, device=device)


def test_a_device_that_warp_has_is_accepted(monkeypatch):
    require_warp('cpu')
    without_cuda(monkeypatch, get_cuda_device_count=2)
    for device in ('cuda', 'cuda:0', 'cuda:1'):
        require_warp(device)
    assert warp_runtime.torch_name('cuda') == 'cuda:1'  # torch's current one, not Warp's


def test_compilation_is_logged_only_when_it_happens(tmp_path):
    program = (
        'import logging\n'
        "logging.basicConfig(level=logging.INFO, format='%(message)s')\n"
        'from manivideo_ros.drawing import horizon_kernels\n'
        'from manivideo_ros.mlo import warp_runtime\n'
        'for _ in range(2):\n'
        "    warp_runtime.load_kernels('cpu', horizon_kernels)\n"
        '    warp_runtime._compiled.cache_clear()\n'  # as in a new process
    )
    run = subprocess.run(
        [sys.executable, '-c', program],
        env={'WARP_CACHE_PATH': str(tmp_path), 'PATH': '/usr/bin:/bin'},
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = run.stderr.splitlines()
    assert before.startswith('compiling kernels for cpu (horizon_kernels): about ')
    assert str(tmp_path) in before
    assert after.startswith('compiled kernels for cpu in ')


def test_kernels_are_ready_when_a_rasterizer_is_made_and_not_at_its_first_frame(monkeypatch):
    rasterizer = Rasterizer(scenes.surfaces(), 64, 64)
    mapper = HorizonMapper(rasterizer)
    loading = type(wp.get_module(raster_kernels.__name__))
    monkeypatch.setattr(loading, 'load', lambda *a, **k: pytest.fail('loaded in a frame'))
    rasterizer.render(scenes.camera(64), scenes.poses(0))
    mapper.map()
