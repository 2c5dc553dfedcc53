"""Quality mode: the windows of a clip are blended where they overlap, and yielded in order."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from graphs import rendered
from latent_networks import SMALL as LATENT
from latent_networks import awake as awake_latent
from latent_networks import noise
from latent_streams import frame_of, scene_of
from networks import SMALL, awake, latents_of, references
from safetensors.torch import save_file

from manivideo_ros.engine.graph.export import shown_pixels
from manivideo_ros.engine.pytorch.windowed import (
    OVERLAP,
    WINDOW,
    Collector,
    LatentWindows,
    PixelWindows,
    open_windows,
    windowed,
)
from manivideo_ros.engine.runner import SCENE_INPUTS, at_grid_size, input_shapes
from manivideo_ros.engine.spec import EngineSpec
from manivideo_ros.model.checkpoint import save_checkpoint
from manivideo_ros.model.latent.autoencoder import autoencoder, decode, encode
from manivideo_ros.model.latent.network import LatentConditions
from manivideo_ros.model.latent.schedule import ddim_scheduler
from manivideo_ros.model.patch.schedule import ddim_step, sampling_times

CONDITIONS = ('normal_map', 'occlusion_confidence', 'visible_normal', 'horizon', 'base')


class Numbers:
    """A model whose clean image of frame i in window w has the pixels i / 255 and 10 w / 255."""

    steps, device, dtype = 2, torch.device('cpu'), torch.float32

    def __init__(self):
        self.windows, self.calls, self.seen = [], 0, []

    def encode(self, scene):
        return None

    def clean(self, latents, step, given, scene):
        if step == 0:
            self.windows.append(given['base'][:, 0, 0, 0].int().tolist())
        self.seen.append(latents.clone())
        out = torch.zeros(len(latents), 3, 1, 2)
        out[..., 0] = given['base'][:, 0, :, 0, None] / 255
        out[..., 1] = 10 * len(self.windows) / 255
        return out

    def after(self, latents, clean, step):
        return clean

    def made(self, clean):
        return shown_pixels(clean)


def numbered(count):
    """Frames whose base image is their index in the clip."""
    for index in range(count):
        base = np.full((1, 1, 1, 1), index, np.float32)
        scene = {name: np.zeros((1, 1), np.float32) for name in SCENE_INPUTS}
        given = {'base': base, 'latents': np.zeros((1, 3, 1, 2), np.float32), **scene}
        yield given
        base[:] = -1  # inputs are copied


@pytest.mark.parametrize('count', [0, 1, 23, 24, 25, 43, 44, 45, 50, 70])
def test_every_frame_is_yielded_once_and_in_order(count):
    made = list(windowed(Numbers(), numbered(count)))
    assert [int(image[0, 0, 0]) for image in made] == list(range(count))
    assert all(image.shape == (1, 2, 3) for image in made)


def test_windows_of_24_frames_overlap_by_4_and_the_last_is_extended_backwards():
    model = Numbers()
    list(windowed(model, numbered(50)))
    assert (WINDOW, OVERLAP) == (24, 4)
    assert model.windows == [
        list(range(24)),
        list(range(20, 44)),
        list(range(26, 50)),
    ]


def test_frames_in_the_overlap_are_blended_without_a_seam():
    shown = [int(image[0, 1, 0]) for image in windowed(Numbers(), numbered(44))]
    assert shown[:20] == [10] * 20 and shown[24:] == [20] * 20
    assert shown[20:24] == [12, 14, 16, 18]
    assert all(0 <= after - before <= 2 for before, after in pairwise(shown))


def test_the_last_window_does_not_change_frames_already_yielded():
    shown = [int(image[0, 1, 0]) for image in windowed(Numbers(), numbered(25))]
    assert shown == [10] * 20 + [12, 14, 16, 18, 20]


def test_each_step_starts_from_the_blended_images():
    model = Numbers()
    list(windowed(model, numbered(44)))
    second = model.seen[3][:, 0, 0, 1] * 255  # of the second window, at the second step
    np.testing.assert_allclose(second[:5], [12, 14, 16, 18, 20], atol=1e-3)


def test_at_most_two_windows_are_consumed_ahead():
    taken = []

    def source():
        for index, given in enumerate(numbered(200)):
            taken.append(index)
            yield given

    for shown, _ in enumerate(windowed(Numbers(), source())):
        assert len(taken) - shown <= 2 * WINDOW


def pixel_frames(count, one_noise):
    scene = dict(zip(SCENE_INPUTS, (x.numpy() for x in references(SMALL)), strict=True))
    for index in range(count):
        one = rendered(seed=index)
        maps = {name: getattr(one, name).numpy() for name in CONDITIONS}
        yield {**scene, **maps, 'latents': one_noise.numpy()}


@torch.no_grad()
def test_one_window_of_the_patch_model_matches_the_network():
    network, steps, count = awake(), 2, 5
    one_noise = latents_of(SMALL)
    frames = list(pixel_frames(count, one_noise))
    corrections = windowed(PixelWindows(network, steps), frames)
    pairs = zip(corrections, frames, strict=True)
    made = np.stack([at_grid_size(c, frame['base'][0]) for c, frame in pairs])
    scene = network.encode_scene(*references(SMALL)).repeat(count)
    conditions = type(rendered())(
        **{n: torch.cat([getattr(rendered(seed=i), n) for i in range(count)]) for n in CONDITIONS}
    )
    latents = one_noise.repeat(count, 1, 1, 1)
    for now, after in pairwise([*sampling_times(steps), 0.0]):
        time = torch.full((count,), now)
        image, _ = network.denoise(latents, time, conditions, scene, count)
        latents = ddim_step(latents, network.patchify(image.clamp(0, 1)), now, after)
    expected = (image.clamp(0, 1) * 255).permute(0, 2, 3, 1).numpy()
    assert np.abs(made - expected).max() <= 0.51  # only the rounding to uint8


def latent_frames(count):
    names = ('views', 'background', 'hand_reference', 'points')
    scene = {n: x[None] for n, x in zip(names, scene_of(1), strict=True)}
    shapes = input_shapes(LATENT)
    for index in range(count):
        given = {name: value[None] for name, value in frame_of(index).items()}
        there = 'skeleton' in given
        given.setdefault('skeleton', np.ones(shapes['skeleton'], np.float32))
        given['has_skeleton'] = np.array(there)
        yield {**scene, **given, 'latents': noise(*shapes['latents'], seed=index).numpy()}


@torch.no_grad()
def test_one_window_of_the_latent_model_matches_the_network_in_both_directions():
    torch.manual_seed(3)
    network, vae, steps, count = awake_latent(), autoencoder(LATENT), 2, 4
    made = np.stack(list(windowed(LatentWindows(network, vae, steps), latent_frames(count))))
    given = list(latent_frames(count))
    views, background, hand_reference, points = (
        torch.from_numpy(given[0][n]) for n in ('views', 'background', 'hand_reference', 'points')
    )
    scene = network.encode_scene(
        encode(vae, views[0])[None], encode(vae, hand_reference), encode(vae, background), points
    )

    def together(name):
        return torch.from_numpy(np.concatenate([frame[name] for frame in given]))

    there = torch.from_numpy(np.stack([frame['has_skeleton'] for frame in given]))
    conditions = LatentConditions(
        together('normal_map'),
        together('occlusion_confidence'),
        together('skeleton') * there.view(-1, 1, 1, 1),
    )
    latents, scheduler = together('latents'), ddim_scheduler()
    scheduler.set_timesteps(steps)
    for timestep in scheduler.timesteps:
        v = network.denoise(latents, timestep.repeat(count), conditions, scene, count, 'window')
        latents = scheduler.step(v, timestep, latents).prev_sample
    expected = (decode(vae, latents) * 255).permute(0, 2, 3, 1).numpy()
    assert np.abs(made - expected).max() <= 1


def test_a_specification_opens_the_windows_of_its_model(tmp_path):
    save_checkpoint(awake().state_dict(), SMALL, tmp_path / 'pixels.safetensors')
    save_checkpoint(awake_latent().state_dict(), LATENT, tmp_path / 'latents.safetensors')
    save_file(autoencoder(LATENT).state_dict(), tmp_path / 'vae.safetensors')
    vae = str(tmp_path / 'vae.safetensors')
    for name, size, kind in (('pixels', 64, PixelWindows), ('latents', 128, LatentWindows)):
        file = str(tmp_path / f'{name}.safetensors')
        spec = EngineSpec('small', file, size, 7, 3, 'fp32', 'auto', vae)
        model = open_windows(spec, 'cpu')
        assert isinstance(model, kind) and model.steps == 3


def test_a_collector_keeps_the_inputs_of_a_session():
    collector = Collector(LATENT)
    assert dict(collector.shapes) == input_shapes(LATENT)
    collector.put({'points': np.ones(1)})
    collector.put({'base': np.zeros(1)})
    assert set(collector.collected) == {'points', 'base'}
    assert collector.run().shape == (128, 128, 3) and not collector.run().any()
