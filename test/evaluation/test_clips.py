"""Evaluation of one clip: the inputs of methods, and the ground truth of their frames."""

import numpy as np
import pytest
from evaluation_samples import short_motion

from manivideo_ros.drawing.views import six_views
from manivideo_ros.estimation.hands import HandEstimate
from manivideo_ros.evaluation.measures.baselines import Baselines, to_bytes
from manivideo_ros.evaluation.measures.hand_error import projected_keypoints
from manivideo_ros.evaluation.suites.clip_measures import Tools, evaluate_clip
from manivideo_ros.evaluation.suites.clips import RenderedGroundTruth, reduced
from manivideo_ros.evaluation.suites.held_out import HeldOutGroundTruth, HeldOutScene
from manivideo_ros.motion.pose_noise import noisy

SIZE, FRAMES = 64, 3


@pytest.fixture(scope='module')
def motion():
    return short_motion(FRAMES)


@pytest.fixture(scope='module')
def truth(motion):
    return RenderedGroundTruth(motion, HeldOutScene.of(motion, 3), SIZE)


class FixedEstimator:
    """Estimator stub: always the same hand at the centre of the crop."""

    def on_crop(self, image, crop):
        spread = np.random.default_rng(0).normal(0, 0.2 * crop.side, (21, 2))
        return HandEstimate(crop.centre + spread, 1.0)


@pytest.fixture(scope='module')
def measured(truth, motion):
    """One method shows the ground truth, one paints like the baseline; exact and noisy poses."""
    images = [truth.frame(index).image for index in range(FRAMES)]
    received = []

    def shows_truth(inputs):
        received.append(inputs)
        return iter(images)

    def paints(inputs):
        objects = [(mesh, six_views(mesh)) for mesh in inputs.objects.values()]
        painter = Baselines(objects, inputs.hands, inputs.background, inputs.hand_reference)
        for index in range(len(inputs.motion)):
            image, _ = painter.paint(inputs.camera, inputs.poses(index))
            yield to_bytes(image['painted'])

    motions = {'exact': motion, 'noise': noisy(motion, 1)}
    hands = motion.frame(0).hands
    others = {
        str(side): projected_keypoints(model, hands[side], truth.inputs.camera)[None] * (1, 2)
        for side, model in truth.inputs.hands.items()
    }
    methods = {'ground truth': shows_truth, 'paints': paints}
    result = evaluate_clip(truth, methods, motions, others, Tools(FixedEstimator()))
    return result, received


def test_ground_truth_has_perfect_figures(measured):
    figures = measured[0]['exact'].figures['ground truth']
    assert figures['psnr_db'] == 100 and figures['ssim'] == pytest.approx(1)
    assert figures['feature_distance'] == pytest.approx(0, abs=1e-6)
    assert figures['gradient_energy'] == figures['temporal_ratio'] == 1
    assert figures['order'] == 1 and figures['order_pixels'] > 10
    assert figures['hands'] == 2 * FRAMES and figures['hand_misses'] == 0


def test_a_method_that_paints_is_the_textured_baseline(measured):
    for one in measured[0].values():
        assert one.figures['paints'] == pytest.approx(one.figures['textured'], nan_ok=True)
        assert one.figures['painted']['psnr_db'] != one.figures['textured']['psnr_db']


def test_the_upper_bound_is_above_the_baselines(measured):
    figures = measured[0]['exact'].figures
    assert figures['true_light']['psnr_db'] > figures['textured']['psnr_db'] + 3


def test_with_noise_methods_get_other_poses_and_the_same_ground_truth(measured, motion, truth):
    result, (exact, noise) = measured
    assert exact.motion is motion and noise.motion is not motion
    assert exact.size == noise.size == SIZE
    assert result['noise'].figures['ground truth']['psnr_db'] == 100
    psnr = {kind: one.figures['true_light']['psnr_db'] for kind, one in result.items()}
    assert psnr['noise'] < psnr['exact'] - 1


def test_a_missing_measure_gives_its_reason(measured):
    figures = measured[0]['exact'].figures['paints']
    assert figures['lpips'] == 'no AlexNet weights given'


def test_the_sheet_shows_ground_truth_and_all_candidates(measured):
    sheet = measured[0]['exact'].sheet
    assert {*sheet} == {'truth', 'ground truth', 'paints', 'painted', 'textured', 'true_light'}
    assert {len(row) for row in sheet.values()} == {FRAMES}


def test_smaller_images_are_downscaled(motion, truth):
    whole = HeldOutGroundTruth(HeldOutScene.of(motion, 3))
    image = whole.image(*motion.frame(1), 1)
    assert np.array_equal(truth.frame(1).image, reduced(image, SIZE))
    with pytest.raises(ValueError, match='cannot be downscaled'):
        reduced(image, 60)


def test_the_mask_is_where_the_image_differs_from_the_background(truth):
    frame = truth.frame(0)
    difference = np.abs(frame.image.astype(int) - truth.inputs.background).mean(2)
    assert np.median(difference[frame.mask]) > 5 * np.median(difference[~frame.mask])
    assert (frame.competing <= frame.mask).all()
