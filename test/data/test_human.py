"""Human clips: keypoint files, crops, backgrounds, zeroed conditions; the mixture of sources."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from manivideo_ros.data.human.clip import ClipError, HumanClip
from manivideo_ros.data.human.keypoints import KeypointError, read_people
from manivideo_ros.data.human.scenes import HumanScenes
from manivideo_ros.data.mixture import (
    NO_BASE,
    Draw,
    Mixture,
    held_out,
    without_conditions,
)
from manivideo_ros.drawing.skeleton import NUM_KEYPOINTS

WIDTH, HEIGHT, FRAMES = 160, 120, 9
PERSON, WALL = (200, 60, 40), (40, 90, 140)


def skeleton(left: float, top: float, width: float, height: float) -> np.ndarray:
    """134 distinct points in a box, with confidence 0.9."""
    points = np.full((NUM_KEYPOINTS, 3), 0.9, np.float32)
    rng = np.random.default_rng(0)
    points[:, :2] = (left, top) + rng.random((NUM_KEYPOINTS, 2)) * (width, height)
    points[0, :2], points[1, :2] = (left, top), (left + width, top + height)
    return points


def person_at(frame: int) -> np.ndarray:
    """A person of 24 x 80 pixels who walks from left to right."""
    return skeleton(20 + 12 * frame, 20, 24, 80)


def make_clip(folder: Path) -> Path:
    """A flat figure in front of a wall of two tones; keypoints of two people."""
    (folder / 'frames').mkdir(parents=True)
    for i in range(FRAMES):
        image = np.full((HEIGHT, WIDTH, 3), WALL, np.uint8)
        image[:, WIDTH // 2 :] += 30
        left = 20 + 12 * i
        image[20:100, left : left + 24] = PERSON
        cv2.imwrite(str(folder / 'frames' / f'{i:06d}.png'), image[..., ::-1])
    people = np.stack([[skeleton(5, 5, 8, 8), person_at(i)] for i in range(FRAMES)])
    np.savez(folder / 'keypoints.npz', keypoints=people)
    return folder


@pytest.fixture(scope='module')
def clip(tmp_path_factory: pytest.TempPathFactory) -> HumanClip:
    return HumanClip(make_clip(tmp_path_factory.mktemp('human') / 'walk'))


# Keypoint files


def openpose_person(points: np.ndarray, body: int = 25) -> dict:
    """A person in OpenPose's format, from 134 points."""
    rows = [*points[:8], np.zeros(3), *points[8:18], *points[18:24]] if body == 25 else points[:18]
    face = [*points[24:92], *np.zeros((2, 3))] if body == 25 else points[24:92]
    return {
        'person_id': [-1],
        'pose_keypoints_2d': np.ravel(rows).tolist(),
        'face_keypoints_2d': np.ravel(face).tolist(),
        'hand_left_keypoints_2d': points[92:113].ravel().tolist(),
        'hand_right_keypoints_2d': points[113:134].ravel().tolist(),
        'pose_keypoints_3d': [],
    }


def test_openpose_files_of_both_body_models_give_dwposes_order(tmp_path: Path) -> None:
    points = person_at(0)
    for body in (25, 18):
        file = tmp_path / f'{body}_keypoints.json'
        file.write_text(json.dumps({'version': 1.3, 'people': [openpose_person(points, body)]}))
        (found,) = read_people(file, WIDTH, HEIGHT)
        wanted = points.copy()
        if body == 18:
            wanted[18:24] = 0  # that body has no feet
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_absent_openpose_parts_are_not_visible(tmp_path: Path) -> None:
    person = openpose_person(person_at(0))
    person |= {'hand_left_keypoints_2d': None, 'face_keypoints_2d': []}
    del person['hand_right_keypoints_2d']
    file = tmp_path / 'a.json'
    file.write_text(json.dumps({'people': [person]}))
    (found,) = read_people(file, WIDTH, HEIGHT)
    assert not found[24:].any() and found[:24, 2].min() > 0.8
    file.write_text(json.dumps({'people': []}))
    assert read_people(file, WIDTH, HEIGHT).shape == (0, NUM_KEYPOINTS, 3)


def test_dwposes_arrays_are_read_in_all_formats(tmp_path: Path) -> None:
    people = np.stack([person_at(0), person_at(3)])
    people[1, 5] = np.nan
    wanted = np.nan_to_num(people)
    files = [tmp_path / name for name in ('joined.npz', 'apart.npz', 'plain.json')]
    np.savez(files[0], keypoints=people)
    np.savez(files[1], candidate=people[..., :2], subset=people[..., 2])
    files[2].write_text(json.dumps({'keypoints': people.tolist()}))
    for file in files:
        np.testing.assert_allclose(read_people(file, WIDTH, HEIGHT), wanted, rtol=1e-6)


def test_relative_coordinates_become_pixels(tmp_path: Path) -> None:
    people = np.stack([person_at(2)])
    shares = people / np.array([WIDTH, HEIGHT, 1])
    np.savez(tmp_path / 'a.npz', keypoints=shares)
    np.testing.assert_allclose(read_people(tmp_path / 'a.npz', WIDTH, HEIGHT), people, rtol=1e-5)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', r'people\[0\].pose_keypoints_2d'),
        ('{"people": [7]}', r'people\[0\] is not an object'),
        ('{"poses": []}', 'has neither people'),
        ('{"keypoints": [[[1, 2, 3]]]}', r'keypoints is \[1, 1, 3\], must be \[P, 134, 3\]'),
        ('{"keypoints": [[1], [2, 3]]}', 'keypoints is not a regular array'),
        ('no json', 'cannot be read as keypoints'),
    ],
)
def test_errors_in_json_name_file_and_field(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / 'bad.json'
    file.write_text(content)
    with pytest.raises(KeypointError, match=f'bad.json: {message}'):
        read_people(file, WIDTH, HEIGHT)


def test_errors_in_npz_name_the_file_and_no_pickle_is_opened(tmp_path: Path) -> None:
    file = tmp_path / 'bad.npz'
    for arrays, message in (
        ({'points': np.zeros(3)}, 'has points; needs keypoints'),
        ({'keypoints': np.zeros((2, 18, 3))}, r'keypoints is \[2, 18, 3\]'),
        ({'candidate': np.zeros((1, 134, 2)), 'subset': np.zeros((1, 18))}, 'do not match'),
        ({'keypoints': np.array([{'a': 1}], object)}, 'cannot be read as keypoints'),
    ):
        np.savez(file, **arrays)
        with pytest.raises(KeypointError, match=f'bad.npz: .*{message}'):
            read_people(file, WIDTH, HEIGHT)
    file.write_bytes(b'no zip')
    with pytest.raises(KeypointError, match=r'bad\.npz: cannot be read'):
        read_people(file, WIDTH, HEIGHT)
    with pytest.raises(KeypointError, match=r'none\.npz: no such file'):
        read_people(tmp_path / 'none.npz', WIDTH, HEIGHT)


# Clips


def test_a_frame_is_a_square_with_the_skeleton_of_the_larger_person(clip: HumanClip) -> None:
    left, top, side = clip.window
    assert (top, side) == (0, HEIGHT) and 0 < left < WIDTH - side
    for i in (0, 4, 8):
        frame = clip.frame(i, 60)
        assert frame.image.shape == (60, 60, 3)
        wanted = (person_at(i)[:, :2] - (left, 0)) / 2
        np.testing.assert_allclose(frame.skeleton[:, :2], wanted, atol=1e-4)
    # The skeleton lies on the figure in the image.
    frame = clip.frame(4, 60)
    x, y = frame.skeleton[:, :2].mean(0).astype(int)
    np.testing.assert_allclose(frame.image[y, x], PERSON, atol=2)
    assert frame.box[y, x] == 1 and 0.05 < frame.box.mean() < 0.8


def test_the_background_is_the_wall_without_the_person(clip: HumanClip) -> None:
    background = clip.background(HEIGHT).astype(int)
    column = WIDTH // 2 - clip.window[0]
    assert np.abs(background[:, : column - 1] - WALL).max() <= 2
    assert np.abs(background[:, column + 1 :] - np.add(WALL, 30)).max() <= 2


def test_background_that_is_never_visible_is_inpainted(tmp_path: Path) -> None:
    folder = make_clip(tmp_path / 'still')
    people = np.stack([[skeleton(64, 40, 24, 30)]] * FRAMES)  # the box does not move
    np.savez(folder / 'keypoints.npz', keypoints=people)
    image = np.full((HEIGHT, WIDTH, 3), WALL, np.uint8)
    image[45:65, 70:82] = PERSON
    for file in sorted((folder / 'frames').iterdir()):
        cv2.imwrite(str(file), image[..., ::-1])
    assert np.abs(HumanClip(folder).background(HEIGHT).astype(int) - WALL).max() <= 6


def test_the_hand_reference_is_the_largest_clearly_visible_hand(tmp_path: Path) -> None:
    folder = make_clip(tmp_path / 'hand')
    assert HumanClip(folder).hand_reference(32).any()
    people = np.zeros((FRAMES, 1, NUM_KEYPOINTS, 3), np.float32)
    people[2, 0, 92:113] = skeleton(44, 40, 20, 40)[92:113]  # on the figure of frame 2
    people[5, 0, 92:113] = skeleton(0, 0, 5, 5)[92:113]
    np.savez(folder / 'keypoints.npz', keypoints=people)
    view = HumanClip(folder).hand_reference(32)
    np.testing.assert_allclose(view[16, 16], PERSON, atol=2)
    people[..., 2] = 0.1
    np.savez(folder / 'keypoints.npz', keypoints=people)
    assert not HumanClip(folder).hand_reference(32).any()


def test_keypoints_can_be_one_file_per_image(tmp_path: Path, clip: HumanClip) -> None:
    folder = make_clip(tmp_path / 'apart')
    (folder / 'keypoints.npz').unlink()
    (folder / 'keypoints').mkdir()
    for i in range(FRAMES):
        name = folder / 'keypoints' / f'{i:06d}'
        if i % 2:
            np.savez(name.with_suffix('.npz'), keypoints=person_at(i)[None])
        else:
            people = {'people': [openpose_person(person_at(i))]}
            Path(f'{name}_keypoints.json').write_text(json.dumps(people))
    np.testing.assert_allclose(HumanClip(folder).skeletons, clip.skeletons, rtol=1e-6)
    (folder / 'keypoints' / '000003.npz').unlink()
    with pytest.raises(KeypointError, match=r'000003.npz: no such file'):
        HumanClip(folder)


def test_errors_name_the_clip(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match='frames: no images found'):
        HumanClip(tmp_path)
    folder = make_clip(tmp_path / 'clip')
    cv2.imwrite(str(folder / 'frames' / '000001.png'), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(ClipError, match=r'000001\.png: 10x10, but the first frame is 160x120'):
        HumanClip(folder).frame(1, 60)
    (folder / 'frames' / '000008.png').unlink()
    with pytest.raises(KeypointError, match='9 frames of keypoints for 8 images'):
        HumanClip(folder)


# Scenes


def test_scenes_have_a_skeleton_and_zeroed_object_conditions(tmp_path: Path) -> None:
    names = [f'clip{i}' for i in range(200)]
    train = next(n for n in names if not held_out(n))
    test = next(n for n in names if held_out(n))
    for name in (train, test):
        make_clip(tmp_path / name)
    scenes = HumanScenes(tmp_path, 'train', frames=4, size=64)
    assert [c.folder.name for c in scenes.clips] == [train]
    assert [c.folder.name for c in HumanScenes(tmp_path, 'test').clips] == [test]
    assert len(scenes) == 2 and scenes.frames_of(1) == 4 and scenes.consecutive.all()
    frame, references = scenes.frame(1, 2), scenes.references(1)
    zero = ('normal_map', 'occlusion_confidence')
    assert not any(frame[k].any() for k in zero)
    assert not references['views'].any() and not references['points'].any()
    assert frame['normal_map'].shape == (7, 3, 64, 64)
    assert frame['skeleton'].shape == (3, 64, 64) and frame['skeleton'].max() == 1
    assert references['background'].shape == references['hand_reference'].shape == (3, 128, 128)
    # Frame 2 of the second window is frame 6 of the clip; away from the person it is the base.
    wanted = torch.from_numpy(scenes.clips[0].frame(6, 64).image).permute(2, 0, 1) / 255
    torch.testing.assert_close(frame['rgb'], wanted)
    bare = frame['mask'][0] == 0
    assert (frame['rgb'] - frame['base'])[:, bare].abs().max() < 0.15
    assert (frame['rgb'] - frame['base'])[:, ~bare].abs().mean() > 0.1
    assert all(v.dtype == torch.float32 for v in (frame | references).values())
    with pytest.raises(ClipError, match='none of 2 clips is in the train split and has 10 frames'):
        HumanScenes(tmp_path, frames=10)


# The mixture of the three data kinds

LENGTHS = {'objaverse': 50, 'generated': 1000, 'human': 7}


@pytest.mark.parametrize('batch', [1, 3, 4, 6, 7])
def test_sources_have_equal_shares(batch: int) -> None:
    mixture = Mixture(LENGTHS, batch, seed=2)
    for first in range(0, 12, 3):
        total = dict.fromkeys(LENGTHS, 0)
        for iteration in range(first, first + 3):
            draws = mixture.draw(iteration)
            assert len(draws) == batch
            counts = {n: sum(d.source == n for d in draws) for n in LENGTHS}
            assert max(counts.values()) - min(counts.values()) <= 1
            total = {n: total[n] + counts[n] for n in LENGTHS}
        assert set(total.values()) == {batch}


def test_an_iteration_is_a_pure_function_of_seed_and_number() -> None:
    mixture = Mixture(LENGTHS, 6, seed=1)
    later = mixture.draw(40)
    assert [mixture.draw(i) for i in (3, 40)][1] == later == Mixture(LENGTHS, 6, seed=1).draw(40)
    assert later != mixture.draw(43) and later != Mixture(LENGTHS, 6, seed=2).draw(40)


def test_every_sample_is_drawn_and_a_tenth_are_unconditional() -> None:
    draws: list[Draw] = [d for i in range(700) for d in Mixture(LENGTHS, 3).draw(i)]
    for name in ('objaverse', 'human'):
        assert {d.index for d in draws if d.source == name} == set(range(LENGTHS[name]))
    assert 0.07 < np.mean([d.unconditional for d in draws]) < 0.13
    none = Mixture(LENGTHS, 3, unconditional_rate=0.0)
    assert not any(d.unconditional for i in range(50) for d in none.draw(i))


def test_sources_without_samples_are_skipped() -> None:
    draws = Mixture(LENGTHS | {'human': 0}, 4).draw(0)
    assert [d.source for d in draws] == ['objaverse', 'generated'] * 2
    with pytest.raises(ValueError, match='no source has a sample'):
        Mixture({'objaverse': 0}, 4)
    with pytest.raises(ValueError, match='batch must be positive'):
        Mixture(LENGTHS, 0)


def test_three_percent_are_held_out_by_name() -> None:
    share = np.mean([held_out(f'object {i}') for i in range(20000)])
    assert 0.027 < share < 0.033
    assert held_out('a') == held_out('a')


def test_dropping_conditions_keeps_ground_truth() -> None:
    from manivideo_ros.model.patch import network
    from manivideo_ros.training.batches import FRAME_KEYS, SCENE_KEYS

    sample = {k: torch.full((2,), 0.5) for k in (*FRAME_KEYS, *SCENE_KEYS, 'skeleton')}
    bare = without_conditions(sample)
    kept = {k for k, v in bare.items() if torch.equal(v, sample[k])}
    assert kept == {'rgb', 'mask'}
    assert NO_BASE == network.NO_BASE and bool((bare['base'] == NO_BASE).all())
    assert all(not bare[k].any() for k in set(bare) - kept - {'base'})


def test_a_source_with_a_larger_share_is_interleaved() -> None:
    mixture = Mixture({'objaverse': 5, 'generated': 7}, 3, shares={'generated': 2})
    assert [d.source for d in mixture.draw(0)] == ['objaverse', 'generated', 'generated']
    with pytest.raises(ValueError, match='share is zero'):
        Mixture({'objaverse': 5}, 3, shares={'objaverse': 0})
