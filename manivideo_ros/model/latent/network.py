"""The latent model: noisy latents and conditions to the predicted velocity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from manivideo_ros.model.config import ModelConfig
from manivideo_ros.model.latent import temporal
from manivideo_ros.model.latent.appearance import LatentAppearanceNet
from manivideo_ros.model.latent.geometry_embedder import LatentGeometryEmbedder
from manivideo_ros.model.latent.mlo_embedder import LatentMloEmbedder
from manivideo_ros.model.latent.pose_guider import LatentGuider
from manivideo_ros.model.latent.transformer import ConditionedBlock, attend
from manivideo_ros.model.latent.unet import (
    Step,
    call,
    embed_time,
    modules_in_order,
    project_out,
    video_unet,
    walk,
)
from manivideo_ros.model.mlo_maps import mlo_maps
from manivideo_ros.model.zero_init import zero_init

Motion = Literal['none', 'window', 'causal']
"""none: single images (stage 1); window: AnimateDiff's attention; causal: past frames only."""


@dataclass
class LatentSceneFeatures:
    """Features of a scene's references, computed once and cached."""

    reference: list[Tensor] | None  # per self-attention [2, B, R, C]; None: no references
    appearance: Tensor  # [B, A, E], E_A
    point_tokens: Tensor  # [B, 8, E]


@dataclass
class LatentConditions:
    """The conditions of all frames of a batch, frames of a clip next to each other."""

    normal_map: Tensor  # [B * F, L, 3, H, W], H of the paper
    occlusion_confidence: Tensor  # [B * F, L, H, W], D of the paper
    skeleton: Tensor | None = None  # [B * F, 3, H, W] in [0, 1], S of the paper


class LatentManiVideoNet(nn.Module):
    """v-prediction in SD 1.5's latents, with the conditions of the paper.

    The parts that the paper adds start at zero, so that with published weights in the UNets
    (latent/load.py) training starts from the published model.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.unet = video_unet(config)
        for transformer in modules_in_order(self.unet, 'attentions'):
            blocks = transformer.transformer_blocks
            blocks[0] = ConditionedBlock(blocks[0], config)
        for module in modules_in_order(self.unet, 'motion_modules'):
            zero_init(module.proj_out)
        self.appearance = LatentAppearanceNet(config)
        self.guider = LatentGuider(3 * config.layers, config)
        self.skeleton_guider = LatentGuider(3, config) if config.human else None
        self.mlo_embedder = LatentMloEmbedder(config)
        self.geometry = LatentGeometryEmbedder(config)
        self._recompute = False

    @property
    def gradient_checkpointing(self) -> bool:
        """Whether training recomputes activations instead of storing them."""
        return self._recompute

    @gradient_checkpointing.setter
    def gradient_checkpointing(self, on: bool) -> None:
        self._recompute = self.appearance.gradient_checkpointing = on

    def encode_scene(
        self,
        views: Tensor,  # [B, 6, 4, v, v] latents of the object's views
        hand_reference: Tensor,  # [B, 4, v, v]
        background: Tensor,  # [B, 4, h, w]
        points: Tensor,  # [B, P, 3] m, object frame
    ) -> LatentSceneFeatures:
        """The features of the references; R runs only here."""
        has_object = self.config.object != 'none'
        tokens, appearance = self.appearance(
            views if has_object else None, hand_reference, background
        )
        blocks = (t.transformer_blocks[0] for t in modules_in_order(self.unet, 'attentions'))
        pairs = zip(blocks, tokens, strict=True)
        reference = [block.reference_key_values(layer) for block, layer in pairs]
        return LatentSceneFeatures(reference, appearance, self.geometry.embed_points(points))

    def guide_skeleton(self, skeleton: Tensor) -> Tensor:  # [B, 3, H, W] in [0, 1]
        """G1(S) [B, 4, h, w], for a network with `human`.

        Scaled by the map's maximum: a black map adds nothing, and a skeleton can fade out.
        """
        assert self.skeleton_guider is not None, 'this network has no skeleton guider'
        guide: Tensor = self.skeleton_guider(skeleton)
        return guide * skeleton.amax((1, 2, 3), keepdim=True)

    def embed_time(self, timesteps: Tensor, dtype: torch.dtype) -> Tensor:  # [B] -> [B, T]
        """The embedding of timesteps 0..999; a stream's are the same in every frame."""
        return embed_time(self.unet, timesteps, dtype)

    def denoise(
        self,
        latents: Tensor,  # [B * F, 4, h, w]: z_t
        timesteps: Tensor,  # [B * F], 0..999
        conditions: LatentConditions,
        scene: LatentSceneFeatures,
        frames: int = 1,
        motion: Motion = 'window',
    ) -> Tensor:
        """The predicted velocity [B * F, 4, h, w]. Raises ValueError for too long windows."""
        longest = self.config.latent_trunk.motion_positions
        if motion == 'window' and frames > longest:
            raise ValueError(f'a window of {frames} frames is too long; the maximum is {longest}')

        def move(module: temporal.AnimateDiffTransformer3D, hidden: Tensor) -> Tensor:
            if motion == 'window':
                windowed: Tensor = call(self._recompute, temporal.window, module, hidden, frames)
                return windowed
            context = self.config.temporal_context
            inputs = (module, hidden, frames, context)
            moved: Tensor = call(self._recompute, temporal.causal, *inputs)[0]
            return moved

        step = None if motion == 'none' else move
        return self._run(latents, timesteps, conditions, scene, step)

    def stream(
        self,
        latents: Tensor,  # [B, 4, h, w]
        timesteps: Tensor,  # [B]
        conditions: LatentConditions,  # of one frame
        scene: LatentSceneFeatures,
        caches: list[Tensor],
        valid: Tensor,  # [B, context]
    ) -> tuple[Tensor, list[Tensor]]:
        """One frame's velocity [B, 4, h, w], and the next caches.

        Equals `denoise(..., motion='causal')`. A sampler of several steps keeps separate caches for
        each step, because past frames are seen at the noise level of the present one.
        """
        past, following = iter(caches), list[Tensor]()

        def move(module: temporal.AnimateDiffTransformer3D, hidden: Tensor) -> Tensor:
            context = self.config.temporal_context
            hidden, cache = temporal.causal(module, hidden, 1, context, next(past), valid)
            following.append(cast(Tensor, cache))
            return hidden

        return self._run(latents, timesteps, conditions, scene, move), following

    def stream_in_place(
        self,
        latents: Tensor,  # [B, 4, h, w]
        timesteps: Tensor,  # [B], or [B, T] from `embed_time`
        conditions: LatentConditions,  # of one frame
        scene: LatentSceneFeatures,
        rings: list[Tensor],  # written
        valid: Tensor,  # [B, context + 1], including this frame
        place: Tensor,  # [1], int64: this frame's position in the rings
    ) -> Tensor:
        """`stream` with ring buffers, which need no moves: one frame's velocity [B, 4, h, w]."""
        own, slots = iter(rings), temporal.ring_slots(valid, place)

        def move(module: temporal.AnimateDiffTransformer3D, hidden: Tensor) -> Tensor:
            return temporal.in_place(module, hidden, next(own), place, *slots)

        return self._run(latents, timesteps, conditions, scene, move)

    def empty_caches(self, batch: int = 1) -> tuple[list[Tensor], Tensor]:
        """Caches of a stream without past frames, and their validity [B, context]."""
        context = self.config.temporal_context
        caches = [temporal.empty_cache(m, batch, cells, context) for m, cells in self._places()]
        return caches, caches[0].new_zeros(batch, context)

    def empty_rings(self, batch: int = 1) -> tuple[list[Tensor], Tensor]:
        """Rings of a stream without past frames, and their validity [B, context + 1]."""
        context = self.config.temporal_context
        rings = [temporal.empty_ring(m, batch, cells, context) for m, cells in self._places()]
        return rings, rings[0].new_zeros(batch, context + 1)

    def _places(self) -> list[tuple[temporal.AnimateDiffTransformer3D, int]]:
        """The motion modules in order, and the number of cells that each sees."""
        side = self.config.latent_size[0]
        # The latents' side is halved after each downsampler, and doubled after each upsampler.
        sides = [side >> level for level in (0, 1, 2, 3, 3, 3, 2, 1, 0)]
        unet: Any = self.unet
        blocks = (*unet.down_blocks, unet.mid_block, *unet.up_blocks)
        return [
            (module, cells**2)
            for block, cells in zip(blocks, sides, strict=True)
            for module in getattr(block, 'motion_modules', ())
        ]

    def _run(
        self,
        latents: Tensor,
        timesteps: Tensor,
        conditions: LatentConditions,
        scene: LatentSceneFeatures,
        move: Step | None,
    ) -> Tensor:
        config = self.config
        normals, confidence = mlo_maps(
            config, conditions.normal_map, conditions.occlusion_confidence
        )
        stacked = normals.flatten(1, 2)
        latents = latents + self.guider(stacked)
        if self.skeleton_guider is not None and conditions.skeleton is not None:
            latents = latents + self.guide_skeleton(conditions.skeleton)
        mlo = geometry = None
        if config.mlo != 'noise_only':
            mlo = self.mlo_embedder.embed(stacked, confidence)
        if config.object != 'none':
            points = scene.point_tokens.repeat_interleave(
                len(latents) // len(scene.point_tokens), 0
            )
            geometry = self.geometry(normals[:, 0], points)
        references = iter(scene.reference or ())

        def conditioned(transformer: nn.Module, hidden: Tensor) -> Tensor:
            reference = next(references, None)
            inputs = (hidden, scene.appearance, reference, mlo, geometry)
            attended: Tensor = call(self._recompute, attend, transformer, *inputs)
            return attended

        time = self.embed_time(timesteps, latents.dtype) if timesteps.ndim == 1 else timesteps
        hidden = walk(self.unet, latents, time, conditioned, move, self._recompute)
        return project_out(self.unet, hidden)
