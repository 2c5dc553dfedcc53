"""Shards: round trip of scenes; H and D are exact on loading."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from manivideo_ros.data import generator
from manivideo_ros.data.packing import pack_hands, pack_mask, unpack_hand, unpack_mask
from manivideo_ros.data.scenes.camera_response import encode_srgb
from manivideo_ros.data.scenes.scene import sample_scene
from manivideo_ros.data.scenes.table_tops import srgb_to_linear
from manivideo_ros.data.shards import ShardDataset, ShardError
from manivideo_ros.hand.state import SIDES
from manivideo_ros.mlo.rasterizer import Rasterizer

FIRST = 40
KEPT = ('views', 'points')  # of an object, zero without one


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp('shards')
    generator.make_shards(out, 3, FIRST, 'train', workers=1)
    return out


def test_a_scene_has_all_inputs_of_the_model(folder: Path) -> None:
    data = pickle.loads(pickle.dumps(ShardDataset(folder)))
    assert len(data) == 3 and data.consecutive.shape == (3,)
    shapes = {
        'normal_map': (7, 3, 256, 256),
        'occlusion_confidence': (7, 256, 256),
        'base': (3, 256, 256),
        'visible_normal': (3, 256, 256),
        'horizon': (8, 128, 128),
        'rgb': (3, 256, 256),
        'mask': (1, 256, 256),
    }
    references = {
        'views': (6, 3, 128, 128),
        'background': (3, 128, 128),
        'hand_reference': (3, 128, 128),
        'points': (2048, 3),
    }
    for scene in range(3):
        assert data.frames_of(scene) == 4
        for got, wanted in ((data.frame(scene, 1), shapes), (data.references(scene), references)):
            assert {key: tuple(value.shape) for key, value in got.items()} == wanted
            assert all(value.dtype == torch.float32 for value in got.values())


def test_loaded_layers_equal_those_of_the_scene(folder: Path) -> None:
    data = ShardDataset(folder)
    for index in range(3):
        scene = sample_scene(FIRST + index)
        rasterizer = Rasterizer(scene.surfaces(), 256, 256, threads=1)
        for frame in (0, 3):
            wanted = rasterizer.render(scene.camera, scene.poses(frame))
            got = data.frame(index, frame)
            torch.testing.assert_close(got['normal_map'], wanted.normal_map, atol=1e-5, rtol=0)
            torch.testing.assert_close(
                got['occlusion_confidence'], wanted.occlusion_confidence, atol=1e-5, rtol=0
            )
            # The mask is antialiased: it agrees with the layers except on silhouettes.
            seen = wanted.nearest_layer >= 0
            mask = got['mask'][0]
            assert (mask[seen] == 0).float().mean() < 0.01
            assert (mask[~seen] == 1).float().mean() < 0.01


def test_a_shard_of_another_shape_has_conditions_that_match_its_images(tmp_path):
    recipe = generator.Recipe(frames=1, size=(320, 192))
    generator.make_shards(tmp_path, 2, FIRST, 'train', 1, recipe)
    data = ShardDataset(tmp_path)
    for index in range(2):
        got = data.frame(index, 0)
        assert got['rgb'].shape == (3, 192, 320) and got['horizon'].shape == (8, 96, 160)
        scene = sample_scene(FIRST + index, frames=1)
        camera = data.camera(index)
        focal = np.diag(camera.intrinsics)[:2]
        np.testing.assert_allclose(focal, scene.camera.intrinsics[1, 1] * 192 / 256)
        wanted = Rasterizer(scene.surfaces(), 320, 192, threads=1).render(camera, scene.poses(0))
        torch.testing.assert_close(got['normal_map'], wanted.normal_map, atol=1e-5, rtol=0)
        seen, mask = wanted.nearest_layer >= 0, got['mask'][0]
        assert (mask[seen] == 0).float().mean() < 0.01
        assert (mask[~seen] == 1).float().mean() < 0.01
        # The ground truth, which another renderer made, differs from its background there.
        background = torch.from_numpy(np.array(data.array(index, 'background'))).permute(2, 0, 1)
        change = (got['rgb'] - background / 255).abs().amax(0)
        assert change[mask == 1].mean() > 4 * change[mask == 0].mean()


@pytest.mark.parametrize('text', ['0', '256x', 'x', '300x192', '32x64', '64x64x64', '1e3', '-64'])
def test_a_size_that_networks_do_not_read_is_refused(text, capsys):
    with pytest.raises(SystemExit):
        generator.main(['--out', 'x', f'--size={text}'])
    assert 'must be' in capsys.readouterr().err


def test_people_are_made_in_squares(tmp_path, capsys):
    arguments = ['--out', str(tmp_path), '--kind', 'person', '--size', '320x192']
    assert generator.main(arguments) == 2
    assert 'people are made in square images' in capsys.readouterr().err


def test_sizes_are_squares_or_width_and_height():
    assert generator.image_size('256') == (256, 256)
    assert generator.image_size('320x192') == (320, 192)


def test_the_base_image_equals_the_background_outside_the_mask(folder: Path) -> None:
    data = ShardDataset(folder)
    got = data.frame(0, 0)
    background = torch.from_numpy(np.array(data.array(0, 'background'))).permute(2, 0, 1) / 255
    bare = got['mask'][0] == 0
    assert (got['base'] - background)[:, bare].abs().max() < 1e-6
    assert (got['rgb'] - background)[:, ~bare].abs().mean() > 0.03


def test_shards_do_not_depend_on_how_scenes_are_grouped(folder: Path, tmp_path: Path) -> None:
    generator.make_shards(tmp_path, 1, FIRST + 2, 'train', workers=1)
    one, all_ = ShardDataset(tmp_path), ShardDataset(folder)
    for key in ('rgb', 'background', 'base', 'hand_reference', 'hands'):
        np.testing.assert_array_equal(one.array(0, key), all_.array(2, key))


def test_a_folder_without_shards_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match='no shards found'):
        ShardDataset(tmp_path)
    (tmp_path / 'shard_00000').mkdir()
    with pytest.raises(ShardError, match=r'scenes\.json'):
        ShardDataset(tmp_path)


def test_hand_states_round_trip() -> None:
    scene = sample_scene(FIRST)
    rows = pack_hands(scene.frames[0].hands)
    for side, row in zip(SIDES, rows, strict=True):
        state, wanted = unpack_hand(row), scene.frames[0].hands.get(side)
        assert (state is None) == (wanted is None)
        if state is not None and wanted is not None:
            np.testing.assert_array_equal(state.theta, wanted.theta)
            np.testing.assert_array_equal(state.wrist_rotation, wanted.wrist_rotation)


@given(hnp.arrays(np.uint8, (6, 8), elements=st.integers(0, 4)))
def test_masks_round_trip(quarters: np.ndarray) -> None:
    mask = quarters.astype(np.float32) / 4
    np.testing.assert_array_equal(unpack_mask(pack_mask(mask)), mask)


@given(st.integers(0, 255))
def test_srgb_encoding_inverts_decoding(value: int) -> None:
    assert encode_srgb(srgb_to_linear(np.array(value / 255))) == value


def test_a_human_scene_has_a_skeleton_and_no_layers(tmp_path: Path) -> None:
    recipe = generator.Recipe('human', consecutive_share=1.0)
    generator.make_shards(tmp_path, 1, FIRST, 'train', 1, recipe)
    data = ShardDataset(tmp_path)
    assert data.kind(0) == 'human' and data.consecutive.all()
    frame, references = data.frame(0, 2), data.references(0)
    for empty in (frame['normal_map'], frame['occlusion_confidence'], *map(references.get, KEPT)):
        assert empty is not None and not empty.any()
    drawn = frame['skeleton'].amax(0) > 0.5
    assert drawn.any() and frame['mask'][0][drawn].mean() > 0.9
    background = torch.from_numpy(np.array(data.array(0, 'background'))).permute(2, 0, 1) / 255
    painted = (frame['base'] - background).abs().amax(0) > 0.02  # hands, as the skeleton shows them
    assert painted[drawn].float().mean() > 0.8 and painted.float().mean() < 0.5


def test_without_objaverse_a_generated_shape_moves(tmp_path: Path) -> None:
    recipe = generator.Recipe('objaverse', frames=6, size=(128, 128))
    generator.make_shards(tmp_path, 1, FIRST, 'train', 1, recipe)
    data = ShardDataset(tmp_path, view_size=64, background_size=128)
    assert data.frames_of(0) == 6 and data.kind(0) == 'objaverse'
    frame, references = data.frame(0, 5), data.references(0)
    assert frame['rgb'].shape == frame['normal_map'].shape[1:] == (3, 128, 128)
    assert not frame['normal_map'][1:].any() and frame['normal_map'][0].any()
    assert references['views'].shape[-1] == 64 and references['background'].shape[-1] == 128


def test_layers_can_be_per_hand_and_confidence_can_be_depth(folder: Path) -> None:
    plain = ShardDataset(folder).frame(0, 0)['occlusion_confidence']
    data = pickle.loads(pickle.dumps(ShardDataset(folder, num_layers=13, confidence='depth')))
    frame = data.frame(0, 0)
    assert frame['normal_map'].shape == (13, 3, 256, 256)
    torch.testing.assert_close(frame['occlusion_confidence'][0] > 0, plain[0] > 0)
    assert not torch.allclose(frame['occlusion_confidence'][0], plain[0])
