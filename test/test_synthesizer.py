"""The whole frame: what is posed is drawn, what fades fades, a new scene takes effect."""

import time
from dataclasses import replace

import cv2
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
from manivideo_ros.geometry import Camera, axis_angle_to_matrix, look_at, pinhole, rigid
from manivideo_ros.hand.state import HandState
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


def test_the_network_corrects_measured_skin_without_its_detail(session):
    random = np.random.default_rng(0)
    skin = random.integers(90, 200, (64, 64, 3), np.uint8)
    scene = Scene({'mug': generate('mug')}, BACKGROUND, replace(REFERENCE, skin=skin))
    synthesizer = Synthesizer(session, HANDS, scene, 1, SIZE)
    frame = synthesizer.step(CAMERA, WHOLE)
    plain, layer = frame.image.astype(int).copy(), frame.foreground.layer.numpy().copy()
    whole = frame.mask.numpy() > 0.99
    made = synthesizer.drawing.image.composer.made.clone()
    made[3:] += 0.2 * torch.from_numpy(random.choice([-1.0, 1.0], made[3:].shape).astype('f4'))
    change = synthesizer.drawing.image.compose(made).numpy().astype(int) - plain
    hand, mug = (np.abs(change[of & whole]).mean() for of in (layer > 0, layer == 0))
    assert mug > 20 and hand < 0.5 * mug


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


# A person who holds an object: hands, object and skeleton.

OPPOSITE = Camera(pinhole(320, 240, 0.7), look_at((0.0, -1.3, 0.6), (0.0, 0.1, 0.22)), 320, 240)
BODY = {
    0: (0, 0.30, 0.58), 1: (0, 0.40, 0.38), 2: (-0.18, 0.40, 0.38), 3: (-0.22, 0.18, 0.18),
    4: (-0.1, -0.02, 0.06), 5: (0.18, 0.40, 0.38), 6: (0.22, 0.18, 0.18), 7: (0.1, -0.02, 0.06),
    14: (-0.03, 0.31, 0.61), 15: (0.03, 0.31, 0.61),
}  # fmt: skip
TORSO = (0.0, 0.38, 0.22)


def opposite_hand(side: str) -> HandState:
    turn = axis_angle_to_matrix([0, 0, np.pi / 2 if side == 'right' else -np.pi / 2])
    wrist = BODY[4 if side == 'right' else 7]
    return HandState(np.zeros(45), np.zeros(10), turn, np.array(wrist))


def pixel_of(place) -> tuple[int, int]:
    x, y = OPPOSITE.project(np.array([place], float))[0][0]
    return int(y), int(x)


@pytest.fixture(scope='module')
def holding():
    """A person who holds a mug with both hands, as one snapshot."""
    skeleton = np.zeros((134, 3), np.float32)
    for number, place in BODY.items():
        skeleton[number] = (*OPPOSITE.project(np.array([place], float))[0][0], 1)
    hands = {side: opposite_hand(side) for side in ('left', 'right')}
    mug = {'mug': rigid(np.eye(3), [0, -0.1, 0.05])}
    whole = Snapshot.of(7, hands, mug)
    return replace(whole, skeleton=skeleton, presence={**whole.presence, 'skeleton': 1.0})


@pytest.fixture(scope='module')
def opposite():
    """A synthesizer whose untrained network shows the base image."""
    network = ManiVideoNet(replace(SMALL, human=True)).eval()
    scene = Scene({'mug': generate('mug')}, BACKGROUND, REFERENCE)
    return Synthesizer(StreamingSession(TorchRunner(network)), HANDS, scene, 1, SIZE)


def test_hands_object_and_skeleton_are_one_person(opposite, holding):
    frame = opposite.step(OPPOSITE, holding)
    # The meshes of the hands end at the skeleton's shoulders, by its elbows.
    for shoulder, elbow in ((2, 3), (5, 6)):
        for place in (BODY[elbow], np.mean([BODY[elbow], BODY[shoulder]], 0)):
            assert frame.mask[pixel_of(place)] > 0.9
    changed = (np.abs(frame.image.astype(int) - BACKGROUND).max(-1) > 20).astype(np.uint8)
    parts = cv2.connectedComponents(changed)[1]
    wanted = [BODY[4], BODY[7], TORSO, BODY[0]]
    found = {int(parts[pixel_of(place)]) for place in wanted}
    assert len(found) == 1 and found != {0}


def test_without_the_skeleton_nothing_of_the_body_is_shown(opposite, holding):
    alone = opposite.step(OPPOSITE, replace(holding, skeleton=None)).image
    for place in (TORSO, BODY[0]):
        np.testing.assert_array_equal(alone[pixel_of(place)], BACKGROUND[0, 0])


def test_the_painted_person_fades_with_the_skeleton(opposite, holding):
    at, shown = pixel_of(BODY[0]), []
    for weight in (1.0, 0.5, 0.0):
        presence = {**holding.presence, 'skeleton': weight}
        shown.append(opposite.step(OPPOSITE, replace(holding, presence=presence)).image[at])
    away = np.abs(np.array(shown, int) - BACKGROUND[0, 0]).max(-1)
    assert away[0] > away[1] > away[2] <= 2
    assert abs(away[1] - away[0] / 2) < 4


def test_networks_without_skeletons_paint_nobody(synthesizer, holding):
    shown = synthesizer.step(OPPOSITE, holding).image
    np.testing.assert_array_equal(shown[pixel_of(TORSO)], BACKGROUND[0, 0])
