"""A checkpoint's stream as a method: the inputs of its session."""

from dataclasses import replace

import numpy as np
import pytest
from evaluation_samples import short_motion

from manivideo_ros.evaluation.suites.clips import ClipInputs
from manivideo_ros.evaluation.suites.held_out import HeldOutScene
from manivideo_ros.evaluation.suites.methods import stream
from manivideo_ros.evaluation.suites.motions import crowding
from manivideo_ros.evaluation.suites.suite import human_entries
from manivideo_ros.hand.reference import HandReference
from manivideo_ros.model.checkpoint import SHIPPED

SIZE = 64


class RecordingSession:
    """Session stub: records its inputs, returns grey images."""

    size, reference_size, background_size, layers, num_points = (SIZE, SIZE), 64, 64, 7, 2048
    inputs = None  # no input buffers

    def __init__(self, human=True):
        self.human, self.given = human, []

    def set_scene(self, views, background, hand_reference, points):
        self.points = points

    def predict(
        self, normal_map, occlusion_confidence, visible_normal, horizon, base, skeleton=None
    ):
        self.given.append((normal_map.copy(), base.copy(), skeleton))
        return np.full((SIZE, SIZE, 3), 128, np.uint8)

    def reset(self):
        pass


@pytest.fixture(scope='module')
def inputs():
    motion = short_motion(2)
    scene = HeldOutScene.of(motion, 3)
    background = np.full((SIZE, SIZE, 3), 90, np.uint8)
    reference = HandReference(np.full((64, 64, 3), 180, np.uint8), np.ones((64, 64), np.uint8))
    camera = scene.camera.resized(SIZE, SIZE)
    return ClipInputs(motion, camera, scene.meshes, scene.hands, background, reference)


def test_a_session_gets_layers_and_no_skeleton(inputs):
    session = RecordingSession()
    assert len(list(stream(session, inputs, SHIPPED))) == 2
    for normals, base, skeleton in session.given:
        assert normals.any() and (base != base[:, :1, :1]).any() and skeleton is None
    assert session.points.any()


def test_by_skeleton_a_session_gets_nothing_else(inputs):
    session = RecordingSession()
    list(stream(session, replace(inputs, by_skeleton=True), SHIPPED))
    for normals, base, skeleton in session.given:
        assert not normals.any() and not session.points.any()
        assert skeleton is not None and skeleton.any()
        # The background, and the hands painted as the skeleton has them.
        painted = np.abs(base - 90 / 255).max(0) > 1e-3
        assert 0 < painted.mean() < 0.5 and painted[skeleton.max(0) > 0.5].mean() > 0.7


def test_unsuitable_models_are_rejected_with_one_line(inputs):
    with pytest.raises(ValueError, match='no skeleton'):
        next(stream(RecordingSession(human=False), replace(inputs, by_skeleton=True), SHIPPED))


def test_the_human_clip_shows_free_hands():
    motion = human_entries()[0].make(8)
    assert set(motion.hands) == {'left', 'right'} and not motion.objects
    assert crowding(motion).fingers == 0
