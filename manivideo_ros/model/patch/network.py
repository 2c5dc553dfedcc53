"""The patch model: noisy latents and conditions to the clean frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.nn import functional

from manivideo_ros.mlo.layers import HORIZON_DIRECTIONS
from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.mlo_maps import mean_normals, mlo_maps
from manivideo_ros.model.patch.appearance import AppearanceNet
from manivideo_ros.model.patch.geometry_embedder import GeometryEmbedder
from manivideo_ros.model.patch.light import POWERS, LightNet, grey_at, log_bounded
from manivideo_ros.model.patch.mlo_embedder import MloEmbedder, visible_normals
from manivideo_ros.model.patch.pose_guider import PoseGuider
from manivideo_ros.model.patch.transformer import ConditionedTransformer
from manivideo_ros.model.zero_init import zero_init

NUM_BLOCKS = 2  # transformers: at the deepest level, and in the upward path

NO_BASE = -1.0  # outside 0..1: a dark base image must not be mistaken for a missing one


def light_directions() -> Tensor:
    """Unit normals [3, 1 + 8] at which a scene's light is evaluated, in the camera's frame.

    The first faces the camera; the others point in the directions of the horizon maps, tilted
    halfway to the camera.
    """
    angle = torch.arange(HORIZON_DIRECTIONS) * (2 * math.pi / HORIZON_DIRECTIONS)
    half = math.sqrt(0.5)
    around = torch.stack([half * angle.cos(), half * angle.sin(), torch.full_like(angle, -half)])
    return torch.cat([torch.tensor([[0.0], [0.0], [-1.0]]), around], 1)


@dataclass
class SceneFeatures:
    """Features of a scene's references, computed once and cached."""

    reference: Tensor  # [blocks, 2, B, R, C], keys and values
    appearance: Tensor  # [B, T]
    light: Tensor  # [B, 16, 3]
    facing: Tensor  # [B, 3, 1, 1], log colour of a grey surface that faces the camera
    around: Tensor  # [B, 3, 8], light from each of the horizon maps' directions
    point_tokens: Tensor  # [B, 8, E]

    def repeat(self, frames: int) -> SceneFeatures:
        """The same features for every frame of clips: B becomes B * frames."""
        rest = (self.appearance, self.light, self.facing, self.around, self.point_tokens)
        return SceneFeatures(
            self.reference.repeat_interleave(frames, 2),
            *(feature.repeat_interleave(frames, 0) for feature in rest),
        )


@dataclass
class FrameConditions:
    """The conditions of all frames of a batch."""

    normal_map: Tensor  # [B, L, 3, H, W], H of the paper
    occlusion_confidence: Tensor  # [B, L, H, W], D of the paper
    base: Tensor  # [B, 3, H, W] in [0, 1]; NO_BASE if absent
    visible_normal: Tensor | None = None  # [B, 3, H, W]; None: computed from H and D
    horizon: Tensor | None = None  # [B, 8, H/2, W/2] (drawing/horizon.py); None: zero
    skeleton: Tensor | None = None  # [B, 3, H, W] in [0, 1], S of the paper


class Skip(nn.Module):
    """A high-resolution skip connection, modulated by time and appearance (FiLM)."""

    def __init__(self, channels: int, time_dim: int) -> None:
        super().__init__()
        self.film = zero_init(nn.Linear(time_dim, 2 * channels))

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        """Features [B, C, h, w] modulated by embedding [B, T]."""
        scale, shift = self.film(embedding)[:, :, None, None].chunk(2, 1)
        modulated: Tensor = features * (1 + scale) + shift
        return modulated


class ManiVideoNet(nn.Module):
    """x0-prediction over pixel patches, with the conditions of the paper.

    The head predicts a gain and a residual of the base image, `out = base * exp(g) + r`. Both start
    at zero, so that the output starts as the base image. With `base: none`, the residual is the
    image.
    """

    light_directions: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        trunk = config.patch_trunk
        low, mid, deep = trunk.channels
        half, quarter = trunk.skip_channels
        time = trunk.time_dim
        self.time_projection = Timesteps(128, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(128, time)
        self.guider = PoseGuider(3 * config.layers, config)
        self.skeleton_guider = PoseGuider(3, config) if config.human else None
        self.mlo_embedder = MloEmbedder(config)
        self.geometry = GeometryEmbedder(config)
        self.appearance = AppearanceNet(config)
        self.light = LightNet(config)
        self.light_embedding = zero_init(nn.Linear(3 * len(POWERS), time))
        self.register_buffer('light_directions', light_directions(), persistent=False)

        self.latent_in = nn.Conv2d(config.latent_channels, low, 1)
        self.stem = nn.Conv2d(3 + 3 + 1 + 1, half, 4, stride=2, padding=1)
        self.light_in = nn.Conv2d(3 + 3 + HORIZON_DIRECTIONS + 3, half, 1)
        self.to_quarter = nn.Conv2d(half, quarter, 3, stride=2, padding=1)
        self.to_trunk = nn.Conv2d(quarter, low, 3, stride=2, padding=1)

        def resnet(channels: int, out: int) -> ResnetBlock2D:
            # Scale and shift: shading is a product of light and normal, which a sum cannot form.
            return ResnetBlock2D(
                in_channels=channels,
                out_channels=out,
                temb_channels=time,
                time_embedding_norm='scale_shift',
            )

        self.down_to_mid = nn.Conv2d(low, mid, 3, stride=2, padding=1)
        self.down_mid = resnet(mid, mid)
        self.down_to_deep = nn.Conv2d(mid, deep, 3, stride=2, padding=1)
        self.deep_first, self.deep_last = resnet(deep, deep), resnet(deep, deep)
        self.up_to_mid = nn.Conv2d(deep, 4 * mid, 1)
        self.up_mid = resnet(mid, mid)
        self.up_to_low = nn.Conv2d(mid, 4 * low, 1)
        self.up_low = resnet(low, low)
        self.deep_block = ConditionedTransformer(deep, config)
        self.up_block = ConditionedTransformer(mid, config)

        self.up_to_quarter = nn.Conv2d(low, 4 * quarter, 1)
        self.skip_quarter = Skip(quarter, time)
        self.refine_quarter = nn.Conv2d(quarter, quarter, 3, padding=1)
        self.up_to_half = nn.Conv2d(quarter, 4 * half, 1)
        self.skip_half = Skip(half, time)
        self.head = zero_init(nn.Conv2d(half, 4 * 6, 3, padding=1))
        self.activation = nn.SiLU()

    @property
    def blocks(self) -> tuple[ConditionedTransformer, ...]:
        """The transformers in the order of the forward pass."""
        return self.deep_block, self.up_block

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights and of all computations."""
        return self.head.weight.dtype

    def encode_scene(
        self,
        views: Tensor,  # [B, 6, 3, R, R] in [0, 1]
        background: Tensor,  # [B, 3, R, R]
        hand_reference: Tensor,  # [B, 3, R, R]
        points: Tensor,  # [B, P, 3] m, object frame
    ) -> SceneFeatures:
        """The features of the references; the appearance net runs only here."""
        if self.config.object == 'none':
            views, points = torch.zeros_like(views), torch.zeros_like(points)
        tokens, appearance = self.appearance(views, background, hand_reference)
        reference = torch.stack([block.reference_key_values(tokens) for block in self.blocks])
        light = self.light(hand_reference)
        appearance = appearance + self.light_embedding(light.flatten(1))
        colours = grey_at(self.light_directions.unsqueeze(0), light)  # [B, 3, 1 + 8]
        facing, around = colours[:, :, :1].unsqueeze(3), colours[:, :, 1:]
        return SceneFeatures(
            reference,
            appearance,
            light,
            log_bounded(facing),
            around - around.amin(2, keepdim=True),
            self.geometry.embed_points(points),
        )

    def embed_time(self, time: Tensor) -> Tensor:  # [B] in [0, 1] -> [B, T]
        """The embedding of noise levels, which are the same in every frame of a stream."""
        embedding: Tensor = self.time_embedding(self.time_projection(time * 1000).to(self.dtype))
        return embedding

    def guide_skeleton(self, skeleton: Tensor) -> Tensor:  # [B, 3, H, W] in [0, 1]
        """G1(S) [B, 3 p^2, H/p, W/p], for a network with `human`.

        Scaled by the map's maximum: a black map adds nothing, and a skeleton can fade out.
        """
        assert self.skeleton_guider is not None, 'this network has no skeleton guider'
        guided: Tensor = self.skeleton_guider(skeleton) * skeleton.amax((1, 2, 3), keepdim=True)
        return guided

    def patchify(self, image: Tensor) -> Tensor:  # [B, 3, H, W] in [0, 1] -> latents
        """The latents of an image: its pixels in [-1, 1], patch by patch."""
        return functional.pixel_unshuffle(image * 2 - 1, self.config.patch)

    def denoise(
        self,
        latents: Tensor,  # [B, 3 p^2, H/p, W/p]: x_t
        time: Tensor,  # [B] in [0, 1]; or [B, T] from `embed_time`
        conditions: FrameConditions,
        scene: SceneFeatures,
        frames: int = 1,  # frames of a clip, next to each other in B
        caches: list[Tensor] | None = None,  # of a stream, one per block
        valid: Tensor | None = None,  # [B, context]
        skeleton_guide: Tensor | None = None,  # [B, 3 p^2, H/p, W/p], if already computed
    ) -> tuple[Tensor, list[Tensor]]:
        """The predicted clean image [B, 3, H, W] (not clipped), and the next caches."""
        gain, residual, next_caches = self.correct(
            latents, time, conditions, scene, frames, caches, valid, skeleton_guide
        )
        return self._base(conditions)[0] * gain + residual, next_caches

    def correct(
        self,
        latents: Tensor,  # [B, 3 p^2, H/p, W/p]: x_t
        time: Tensor,  # [B] in [0, 1]; or [B, T] from `embed_time`
        conditions: FrameConditions,
        scene: SceneFeatures,
        frames: int = 1,
        caches: list[Tensor] | None = None,
        valid: Tensor | None = None,
        skeleton_guide: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Gain and residual of the base image, each [B, 3, H, W], and the next caches.

        The clean image is `base * gain + residual`; with `base: none` it is the residual. Arguments
        as for `denoise`.
        """
        embedding = self.embed_time(time) if time.ndim == 1 else time
        embedding = self.activation(embedding + scene.appearance)
        normals, confidence = mlo_maps(
            self.config, conditions.normal_map, conditions.occlusion_confidence
        )
        visible = self._pixel_map(conditions, confidence)
        stacked = normals.flatten(1, 2)
        mlo_tokens = self.mlo_embedder(stacked, confidence)
        if self.config.mlo == 'noise_only':
            mlo_tokens = torch.zeros_like(mlo_tokens)
        geometry_tokens = self.geometry(normals[:, 0], scene.point_tokens)
        if self.config.object == 'none':
            geometry_tokens = torch.zeros_like(geometry_tokens)
        latents = latents + self.guider(stacked)
        if conditions.skeleton is not None:
            skeleton_guide = self.guide_skeleton(conditions.skeleton)
        if skeleton_guide is not None:
            latents = latents + skeleton_guide

        base, has_base = self._base(conditions)
        mask = (visible.abs().amax(1, keepdim=True) > 0).to(base.dtype)
        pixels = torch.cat([base * 2 - 1, visible, mask, has_base[:, :1]], 1)
        light = self._light_maps(visible, mask, scene, conditions.horizon)
        half = self.activation(self.stem(pixels) + self.light_in(light))
        quarter = self.activation(self.to_quarter(half))
        low = self.to_trunk(quarter) + self.latent_in(latents)

        next_caches: list[Tensor] = []

        def attend(index: int, features: Tensor) -> Tensor:
            cache = None if caches is None else caches[index]
            features, cache = self.blocks[index](
                features, scene.reference[index], mlo_tokens, geometry_tokens, frames, cache, valid
            )
            if cache is not None:
                next_caches.append(cache)
            return features

        mid = self.down_mid(self.down_to_mid(low), embedding)
        deep = self.deep_first(self.down_to_deep(mid), embedding)
        deep = self.deep_last(attend(0, deep), embedding)
        up = functional.pixel_shuffle(self.up_to_mid(deep), 2)
        up = attend(1, self.up_mid(up + mid, embedding))
        up = functional.pixel_shuffle(self.up_to_low(up), 2)
        up = self.up_low(up + low, embedding)

        up = functional.pixel_shuffle(self.up_to_quarter(up), 2)
        up = self.refine_quarter(self.activation(up + self.skip_quarter(quarter, embedding)))
        up = functional.pixel_shuffle(self.up_to_half(self.activation(up)), 2)
        up = self.activation(up + self.skip_half(half, embedding))
        gain, residual = functional.pixel_shuffle(self.head(up), 2).chunk(2, 1)
        # A gain beyond e^2 would only amplify noise, and training could diverge.
        return torch.exp(2 * torch.tanh(gain / 2)), residual, next_caches

    def _base(self, conditions: FrameConditions) -> tuple[Tensor, Tensor]:
        """The base image, 0 where it is absent, and where it is present; each [B, 3, H, W]."""
        base = conditions.base
        if self.config.base == 'none':
            base = torch.full_like(base, NO_BASE)
        has_base = (base >= 0).to(base.dtype)
        return base * has_base, has_base

    def _pixel_map(self, conditions: FrameConditions, depth: Tensor) -> Tensor:
        """The map beside the base image [B, 3, H, W]: the visible normal.

        Without D the mean normal of the layers, without H the nearest depth.
        """
        if self.config.mlo == 'noise_only':
            return mean_normals(conditions.normal_map)
        if self.config.mlo == 'depth_only':
            return depth[:, :1].expand(-1, 3, -1, -1)
        if conditions.visible_normal is not None:
            return conditions.visible_normal
        return visible_normals(conditions.normal_map, conditions.occlusion_confidence)[0]

    def _light_maps(
        self, visible: Tensor, mask: Tensor, scene: SceneFeatures, horizon: Tensor | None
    ) -> Tensor:
        """Light maps at half the image's side [B, 17, H/2, W/2]; zero outside the mask.

        Channels 0-2: the log colour of a grey ball at the visible normals; in logarithms, because
        the head's gain is one too. 3-5: the same relative to a surface facing the camera, because
        the base image shows objects in their albedo, but hands as lit in the hand reference. 6-8:
        the light blocked by the horizons; 9-16: the horizons. Horizons are zero with `base: none`
        and `mlo: depth_only`.
        """
        mask = functional.avg_pool2d(mask, 2)
        if horizon is None:
            horizon = mask.new_zeros(len(mask), HORIZON_DIRECTIONS, *mask.shape[2:])
        if self.config.mlo == 'depth_only' or self.config.base == 'none':
            horizon = horizon * 0
        if self.config.mlo == 'depth_only':  # without normals there is no shading
            return torch.cat([mask.expand(-1, 9, -1, -1) * 0, horizon], 1)
        normals = functional.normalize(functional.avg_pool2d(visible, 2), dim=1, eps=1e-3)
        lit = log_bounded(grey_at(normals, scene.light))
        blocked = (scene.around @ horizon.flatten(2)).unflatten(2, horizon.shape[2:])
        return torch.cat([torch.cat([lit, lit - scene.facing], 1) * mask, blocked, horizon], 1)

    def empty_caches(self, batch: int = 1) -> tuple[list[Tensor], Tensor]:
        """Caches of a stream without past frames, and their validity [B, context]."""
        config, weight = self.config, self.head.weight
        mid, deep = config.patch_trunk.channels[1:]
        rows, columns = config.latent_size
        context = config.temporal_context
        caches = [
            weight.new_zeros(2, batch, context, cells, channels)
            for cells, channels in (
                ((rows // 4) * (columns // 4), deep),
                ((rows // 2) * (columns // 2), mid),
            )
        ]
        return caches, weight.new_zeros(batch, context)
