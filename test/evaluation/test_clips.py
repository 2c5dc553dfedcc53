"""One clip measured: what methods are told, and what their frames are held against."""

import numpy as np
import pytest
from evaluation_samples import short_motion

from manivideo_ros.drawing.views import six_views
from manivideo_ros.estimation.hands import HandEstimate
from manivideo_ros.evaluation.measures.baselines import Baselines, to_bytes
from manivideo_ros.evaluation.measures.clip import Tools, evaluate_clip
from manivideo_ros.evaluation.measures.hand_error import projected_keypoints
from manivideo_ros.evaluation.suites.clips import RenderedTruth, reduced
from manivideo_ros.evaluation.suites.held_out import HeldOutScene, HeldOutTruth
from manivideo_ros.evaluation.suites.pose_noise import noisy

SIZE, FRAMES = 64, 3


@pytest.fixture(scope='module')
def motion():
    return short_motion(FRAMES)


@pytest.fixture(scope='module')
def truth(motion):
    return RenderedTruth(motion, HeldOutScene.of(motion, 3), SIZE)


class SeesItsCrop:
    """Stands for the estimator: always the same hand, in the middle of the crop."""

    def on_crop(self, image, crop):
        spread = np.random.default_rng(0).normal(0, 0.2 * crop.side, (21, 2))
        return HandEstimate(crop.centre + spread, 1.0)


@pytest.fixture(scope='module')
def measured(truth, motion):
    """A method that shows the truth, one that paints as the baseline does; exact and noisy."""
    images = [truth.frame(index).image for index in range(FRAMES)]
    asked = []

    def shows_truth(told):
        asked.append(told)
        return iter(images)

    def paints(told):
        objects = [(mesh, six_views(mesh)) for mesh in told.objects.values()]
        painter = Baselines(objects, told.hands, told.background, told.hand_reference)
        for index in range(len(told.motion)):
            image, _ = painter.paint(told.camera, told.poses(index))
            yield to_bytes(image['painted'])

    told = {'exact': motion, 'noise': noisy(motion, 1)}
    hands = motion.frame(0).hands
    others = {
        str(side): projected_keypoints(model, hands[side], truth.told.camera)[None] * (1, 2)
        for side, model in truth.told.hands.items()
    }
    methods = {'truth itself': shows_truth, 'paints': paints}
    result = evaluate_clip(truth, methods, told, others, Tools(SeesItsCrop()))
    return result, asked


def test_the_truth_reaches_every_mark(measured):
    figures = measured[0]['exact'].figures['truth itself']
    assert figures['psnr_db'] == 100 and figures['ssim'] == pytest.approx(1)
    assert figures['feature_distance'] == pytest.approx(0, abs=1e-6)
    assert figures['gradient_energy'] == figures['temporal_ratio'] == 1
    assert figures['order'] == 1 and figures['order_pixels'] > 10
    assert figures['hands'] == 2 * FRAMES and figures['hand_misses'] == 0


def test_a_method_that_paints_is_the_textured_baseline(measured):
    for one in measured[0].values():
        assert one.figures['paints'] == pytest.approx(one.figures['textured'], nan_ok=True)
        assert one.figures['painted']['psnr_db'] != one.figures['textured']['psnr_db']


def test_true_light_lies_above_the_baselines(measured):
    figures = measured[0]['exact'].figures
    assert figures['true_light']['psnr_db'] > figures['textured']['psnr_db'] + 3


def test_with_noise_methods_are_told_other_poses_and_held_against_the_same_truth(
    measured, motion, truth
):
    result, (exact, noise) = measured
    assert exact.motion is motion and noise.motion is not motion
    assert exact.size == noise.size == SIZE
    assert result['noise'].figures['truth itself']['psnr_db'] == 100
    psnr = {kind: one.figures['true_light']['psnr_db'] for kind, one in result.items()}
    assert psnr['noise'] < psnr['exact'] - 1


def test_what_cannot_be_measured_says_why(measured):
    figures = measured[0]['exact'].figures['paints']
    assert figures['lpips'] == 'no AlexNet weights given'


def test_the_sheet_shows_the_truth_beside_all_candidates(measured):
    sheet = measured[0]['exact'].sheet
    assert {*sheet} == {'truth', 'truth itself', 'paints', 'painted', 'textured', 'true_light'}
    assert {len(row) for row in sheet.values()} == {FRAMES}


def test_smaller_images_are_the_same_photographs(motion, truth):
    whole = HeldOutTruth(HeldOutScene.of(motion, 3))
    photograph = whole.photograph(*motion.frame(1), 1)
    assert np.array_equal(truth.frame(1).image, reduced(photograph, SIZE))
    with pytest.raises(ValueError, match='cannot be reduced'):
        reduced(photograph, 60)


def test_the_mask_is_where_the_photograph_differs_from_the_background(truth):
    frame = truth.frame(0)
    difference = np.abs(frame.image.astype(int) - truth.told.background).mean(2)
    assert np.median(difference[frame.mask]) > 5 * np.median(difference[~frame.mask])
    assert (frame.competing <= frame.mask).all()
