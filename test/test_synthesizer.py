"""The whole frame: what is posed is drawn, what fades fades, a new scene takes effect."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from graphs import model_of
from networks import SMALL, awake
from synthesizers import (
    BACKGROUND,
    CAMERA,
    HANDS,
    REFERENCE,
    WHOLE,
    frames_on,
)

from manivideo_ros.engine.engine import Engine
from manivideo_ros.engine.graph.export import save_graph
from manivideo_ros.engine.graph.onnx_runner import OnnxRunner
from manivideo_ros.engine.pytorch.runner import TorchRunner
from manivideo_ros.engine.runner import EngineError, unchanged
from manivideo_ros.engine.session import StreamingSession
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.geometry import rigid
from manivideo_ros.model.patch.network import ManiVideoNet
from manivideo_ros.motion.pose_buffer import Snapshot
from manivideo_ros.objects.household.shapes import generate
from manivideo_ros.synthesizer import Scene, Synthesizer


@pytest.fixture(scope='module')
def session():
    # Untrained, so that the image is the base image: what arrives can be read off.
    return StreamingSession(TorchRunner(ManiVideoNet(SMALL).eval()))


@pytest.fixture
def synthesizer(session):
    return Synthesizer(
        session, HANDS, Scene({'mug': generate('mug')}, BACKGROUND, REFERENCE), 1, SIZE
    )


def test_a_frame_shows_hands_in_their_colour_over_the_background(synthesizer):
    frame = synthesizer.step(CAMERA, WHOLE)
    assert frame.image.shape == (240, 320, 3)
    assert frame.stamp_ns == 7
    layer = frame.foreground.layer.numpy()
    skin = frame.image[(layer >= 1) & (frame.mask.numpy() > 0.99)].mean(0)
    assert skin[0] > 2 * skin[2]  # the reference's red
    np.testing.assert_array_equal(frame.image[frame.mask.numpy() == 0][0], BACKGROUND[0, 0])
    assert set(frame.stages_ms) == {'rasterize', 'paint', 'denoise', 'compose'}


def test_every_part_is_drawn_where_it_is_posed_and_not_where_it_is_absent(synthesizer):
    absent = replace(WHOLE, hands={'left': WHOLE.hands['left']}, objects={})
    coverage = [float(synthesizer.step(CAMERA, s).mask.sum()) for s in (WHOLE, absent)]
    assert 0 < coverage[1] < coverage[0]
    empty = synthesizer.step(CAMERA, replace(WHOLE, hands={}, objects={}))
    assert not empty.mask.any()
    assert not empty.layers.normal_map.any()


def test_what_fades_leaves_the_image_by_degrees(synthesizer):
    gone = synthesizer.step(CAMERA, replace(WHOLE, hands={}, objects={})).image.astype(float)
    distances = []
    for weight in (1.0, 0.7, 0.4, 0.1):
        fading = dict.fromkeys(WHOLE.presence, weight)
        image = synthesizer.step(CAMERA, replace(WHOLE, presence=fading)).image
        distances.append(np.abs(image - gone).mean())
    assert distances[0] > distances[1] > distances[2] > distances[3] > 0


def test_only_the_fading_part_changes(synthesizer):
    steady = synthesizer.step(CAMERA, WHOLE)
    layer, before = steady.foreground.layer.numpy().copy(), steady.image.astype(int)
    faded = synthesizer.step(CAMERA, replace(WHOLE, presence={**WHOLE.presence, 'mug': 0.5}))
    change = np.abs(faded.image - before).max(-1)
    assert change[layer == 0].mean() > 10
    # Beside the mug's antialiased border nothing of the hands or the background moves.
    assert np.mean(change[layer != 0] > 2) < 0.05


def test_a_scene_without_objects_and_with_two_can_be_drawn(session):
    alone = Synthesizer(session, HANDS, Scene({}, BACKGROUND, REFERENCE), 1, SIZE)
    assert alone.step(CAMERA, replace(WHOLE, objects={})).mask.any()
    meshes = {'mug': generate('mug'), 'box': generate('box')}
    two = Synthesizer(session, HANDS, Scene(meshes, BACKGROUND, REFERENCE), 1, SIZE)
    poses = {**WHOLE.objects, 'box': rigid(np.eye(3), [0.1, 0.1, 0.1])}
    assert two.step(CAMERA, replace(WHOLE, objects=poses)).mask.sum() > 0


SIZE = CAMERA.width, CAMERA.height
PERSON = np.zeros((134, 3), np.float32)
PERSON[:18] = np.column_stack([np.linspace(40, 280, 18), np.linspace(38, 188, 18), np.ones(18)])


@pytest.fixture(scope='module')
def human(tmp_path_factory):
    """A synthesizer whose network knows people, and shows what the skeleton's guider gives it."""
    path = tmp_path_factory.mktemp('graph') / 'human.onnx'
    save_graph(model_of(1, human=True), path)
    scene = Scene({'mug': generate('mug')}, BACKGROUND, REFERENCE)
    return Synthesizer(StreamingSession(OnnxRunner(path, threads=1)), HANDS, scene, 1, SIZE)


def shown(synthesizer, snapshot):
    """The first image of a stream."""
    synthesizer.reset()
    return synthesizer.step(CAMERA, snapshot).image.astype(int)


def test_a_skeleton_is_shown_and_fades_where_the_network_knows_people(human):
    nobody = shown(human, WHOLE)
    distances = []
    for weight in (1.0, 0.2, 0.02):
        presence = {**WHOLE.presence, 'skeleton': weight}
        image = shown(human, replace(WHOLE, skeleton=PERSON, presence=presence))
        distances.append(np.abs(image - nobody).mean())
    assert distances[0] > distances[1] > distances[2] > 0
    np.testing.assert_array_equal(shown(human, WHOLE), nobody)


def test_a_skeleton_needs_no_hands(human):
    nobody = Snapshot(7, {}, {}, {})
    someone = replace(nobody, skeleton=PERSON, presence={'skeleton': 1.0})
    assert np.any(shown(human, someone) != shown(human, nobody))


def test_other_networks_show_no_skeleton(synthesizer):
    image = shown(synthesizer, WHOLE)
    np.testing.assert_array_equal(shown(synthesizer, replace(WHOLE, skeleton=PERSON)), image)


def test_a_pose_that_is_not_finite_is_refused_and_the_next_frame_is_well(synthesizer):
    expected = synthesizer.step(CAMERA, WHOLE).image.copy()
    broken = {'mug': WHOLE.objects['mug'] * np.nan}
    with pytest.raises(ValueError, match='finite'):
        synthesizer.step(CAMERA, replace(WHOLE, objects=broken))
    synthesizer.reset()
    np.testing.assert_array_equal(synthesizer.step(CAMERA, WHOLE).image, expected)


@pytest.fixture(scope='module')
def graph(tmp_path_factory):
    path = tmp_path_factory.mktemp('graph') / 'awake.onnx'
    save_graph(model_of(1), path)
    return path


def test_maps_drawn_straight_into_the_engines_inputs_give_the_same_frames(graph):
    straight = frames_on(TorchRunner(awake(SMALL)))
    assert np.abs(straight - frames_on(OnnxRunner(graph, threads=1))).max() <= 1
    assert straight.std(axis=0).max() > 20


class Falling(TorchRunner):
    """A device that falls off with the fourth frame."""

    backend = property(lambda self: 'torch_cuda', lambda self, _: None)
    frames = 0

    def run_drawn(self, draw, finish=unchanged):
        self.frames += 1
        if self.frames == 4:
            raise EngineError('the device fell off: check nvidia-smi')
        return super().run_drawn(draw, finish)


def test_a_frame_whose_device_falls_off_is_drawn_anew_for_the_next_backend(graph):
    spec = EngineSpec('small', '', 64, 7, 1, 'fp32', 'auto')
    opened = {'torch_cuda': Falling(awake(SMALL)), 'onnxruntime': OnnxRunner(graph, threads=1)}

    def open_one(backend, spec, threads):
        if backend not in opened:
            raise EngineError('not here')
        return opened[backend]

    engine = Engine(spec, 1, open_one=open_one)
    frames = frames_on(engine)
    assert engine.backend == 'onnxruntime' and 'fell off' in engine.degraded
    expected = frames_on(OnnxRunner(graph, threads=1))
    assert np.abs(frames[:3] - expected[:3]).max() <= 1  # the past is lost with the device
    assert np.abs(frames - expected).mean() < 2


def test_a_device_that_fails_while_it_draws_is_given_up_for_the_next_backend(graph, monkeypatch):
    opened = {'torch_cuda': Falling(awake(SMALL)), 'onnxruntime': OnnxRunner(graph, threads=1)}
    Falling.frames = -100

    def open_one(backend, spec, threads):
        if backend not in opened:
            raise EngineError('not here')
        return opened[backend]

    engine = Engine(EngineSpec('small', '', 64, 7, 1, 'fp32', 'auto'), 1, open_one=open_one)
    scene = Scene({'mug': generate('mug')}, BACKGROUND, REFERENCE)
    synthesizer = Synthesizer(StreamingSession(engine, seed=3), HANDS, scene, 1, SIZE)
    fading = replace(WHOLE, presence={**WHOLE.presence, 'mug': 0.5})
    expected = frames_on(OnnxRunner(graph, threads=1))[0]
    with monkeypatch.context() as patch:

        def fail(*_):
            raise RuntimeError('CUDA error: an illegal memory access was encountered')

        patch.setattr(synthesizer.drawing.rasterizer, 'draw', fail)
        synthesizer.step(CAMERA, fading)
    assert engine.backend == 'onnxruntime' and 'illegal memory access' in engine.degraded
    synthesizer.reset()
    assert np.abs(synthesizer.step(CAMERA, WHOLE).image.astype(int) - expected).max() <= 1


def test_the_layers_of_a_frame_are_those_that_the_network_was_given_while_fading_too(graph):
    fading = replace(WHOLE, presence={**WHOLE.presence, 'mug': 0.5, 'left': 0.25})
    layers = []
    for runner in (OnnxRunner(graph, threads=1), TorchRunner(awake(SMALL))):
        scene = Scene({'mug': generate('mug')}, BACKGROUND, REFERENCE)
        synthesizer = Synthesizer(StreamingSession(runner, seed=3), HANDS, scene, 1, SIZE)
        layers.append(synthesizer.step(CAMERA, fading).layers)
    for name in ('normal_map', 'occlusion_confidence', 'visible_normal'):
        on_cpu, on_device = (getattr(made, name) for made in layers)
        torch.testing.assert_close(on_cpu, on_device)
    mug = layers[0].face_index[0] >= 0
    assert torch.allclose(layers[0].normal_map[0].norm(dim=0)[mug], torch.tensor(0.5), atol=1e-3)


def test_posing_counts_as_rasterizing(synthesizer, monkeypatch):
    pose = synthesizer.drawing.pose

    def slow(*arguments):
        time.sleep(0.05)
        pose(*arguments)

    monkeypatch.setattr(synthesizer.drawing, 'pose', slow)
    stages = synthesizer.step(CAMERA, WHOLE).stages_ms
    assert stages['rasterize'] >= 50
    assert set(stages) == {'rasterize', 'paint', 'denoise', 'compose'}


def test_what_a_runner_could_not_take_is_sent_again(session, monkeypatch):
    sent = []

    def fail(_):
        raise EngineError('out of memory')

    with monkeypatch.context() as patch:
        patch.setattr(session.runner, 'put', fail)
        with pytest.raises(EngineError):
            session.set_seed(99)
    monkeypatch.setattr(session.runner, 'put', sent.append)
    session.set_seed(99)
    session.set_seed(99)
    assert [list(values) for values in sent] == [['latents']]
