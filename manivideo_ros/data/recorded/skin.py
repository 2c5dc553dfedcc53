"""The skin texture of a person and the light on it, from the images of a recorded clip.

Irradiance is a second-order function of the normal (Ramamoorthi and Hanrahan, SIGGRAPH 2001), in
linear light. Texture and light are fitted in turns; the texture is kept near an even skin, so that
what changes slowly over the hand belongs to the light.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from manivideo_ros.camera.light import Light
from manivideo_ros.data.recorded.skin_samples import (
    SIZE,
    FrameSamples,
    Texels,
    covered_texels,
)
from manivideo_ros.data.scenes.camera_response import encode_srgb
from manivideo_ros.data.scenes.room import harmonic_basis
from manivideo_ros.data.scenes.table_tops import srgb_to_linear
from manivideo_ros.geometry import Array
from manivideo_ros.hand.atlas import skin_atlas
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.partition import SLEEVE
from manivideo_ros.hand.skin import skin_texture
from manivideo_ros.model.patch.light import POWERS, even_directions, lamp_and_ambient

TURNS = 4
TONE_SIZE = 64
RIDGE = 0.003
"""Weight of small coefficients of the light: outlines show hardly any grazing normals."""
EVEN = 1.0
"""Samples that an even skin counts as, for each texel."""
LEAST = 2000
"""Samples from which light and texture are fitted."""
KNOWN = 1.0
"""Sum of a texel's cosines from which it is seen, not guessed."""
DETAIL = 12.0
"""Standard deviation, texels, of what is detail: it is taken from single frames, as poses that
are pixels off blur it in the mean of many."""
DETAIL_COSINE = 0.5
DETAIL_FRAMES = 12
FEATHER = 3.0
SHOWN = 0.6
"""sRGB of a grey ball that faces the camera: the light's unit is arbitrary."""
BALL = 2000
"""Directions in which the ball is fitted."""
LAMP_SIZE = 0.5
"""Angular radius of the lamp, radians: a fit of the second order does not see how large it is, and
rooms are lit by windows and ceilings; a small one draws shadows that the frames do not have."""
BESIDE = 64
"""Texels of the hand that give a texel of the arm its colour."""
WRIST_FADE = 0.05
"""Metres over which a bare arm fades from the skin beside it to its own colour."""
ALIKE = 45.0
"""Mean difference of grey levels up to which the arm is of the skin beside it, and no sleeve."""
BEHIND = 0.1
"""z of normals that a camera sees, at most."""


@dataclass(frozen=True, eq=False)
class Skin:
    """A person's skin, and the light on it.

    texture uint8 [S, S, 3]: sRGB of the skin where it faces the camera; seen [S, S]: not guessed,
    share: of its texels. light: in the camera's frame.
    """

    texture: NDArray[np.uint8]
    seen: NDArray[np.bool_]
    share: float
    light: Light


def fitted_skin(
    samples: Sequence[FrameSamples],
    hand: HandModel,
    texels: Texels,
    sleeve: NDArray[np.uint8] | None,  # [3] sRGB of the forearm
) -> Skin | None:
    """The skin and the light of some frames; None if they show too little of the hand."""
    samples = [frame for frame in samples if len(frame.texel)]
    if sum(len(frame.texel) for frame in samples) < LEAST:
        return None
    light, albedo, known = _in_turns(samples, len(texels.place))
    facing = shade_of(np.array([[0.0, 0.0, -1.0]]), light)
    shades = [shade_of(frame.normal, light) for frame in samples]
    albedo = albedo * _detail(samples, shades, albedo, texels)
    shown = encode_srgb(albedo * facing).astype(np.float64)
    texture, seen = _texture(shown, known, hand, texels)
    if sleeve is not None:
        places, colours = arm_colours(texture, sleeve, hand, texels)
        texture[places] = colours
    share = float(seen.sum()) / len(texels.place)
    atlas = skin_atlas(SIZE)
    spread = atlas.spread(texture[atlas.row * SIZE + atlas.column])
    return Skin(spread, seen, share, as_light(light))


def _in_turns(samples: Sequence[FrameSamples], count: int) -> tuple[Array, Array, Array]:
    """Light [9, 3], albedo [T, 3] relative to the mean skin, and sums of cosines [T]."""
    texel = np.concatenate([frame.texel for frame in samples])
    terms = harmonic_basis(np.concatenate([frame.normal for frame in samples])).astype(np.float64)
    weight = np.concatenate([frame.cosine for frame in samples])
    colour = np.concatenate([frame.colour for frame in samples])
    light, albedo = np.zeros((9, 3)), np.ones((count, 3))
    for _ in range(TURNS):
        for channel in range(3):
            under = terms * albedo[texel, channel, None]
            normal = (under * weight[:, None]).T @ under + RIDGE * len(texel) * np.eye(9)
            right = under.T @ (weight * colour[:, channel])
            light[:, channel] = np.linalg.solve(normal, right)
            shade = np.maximum(terms @ light[:, channel], 1e-3)
            even = EVEN * float((shade**2).mean())
            total = np.bincount(texel, weight * colour[:, channel] * shade, count)
            power = np.bincount(texel, weight * shade**2, count)
            albedo[:, channel] = (total + even) / (power + even)
    known: Array = np.bincount(texel, weight, count).astype(np.float64)
    return light, np.maximum(albedo, 0.02), known


def shade_of(normals: Array, light: Array) -> Array:
    """Irradiance [N, 3] at normals [N, 3] in a fitted light [9, 3], above zero."""
    shade: Array = np.maximum(harmonic_basis(normals).astype(np.float64) @ light, 1e-3)
    return shade


def _detail(
    samples: Sequence[FrameSamples], shades: Sequence[Array], albedo: Array, texels: Texels
) -> Array:
    """What single frames show beyond the smooth albedo [T, 3]: a factor for it.

    The frames that show most of the hand come first; each gives the detail of what the frames
    before it do not show.
    """
    order = sorted(range(len(samples)), key=lambda i: -float(samples[i].cosine.sum()))
    smooth = _blurred(_image(np.log(albedo), texels), _image(np.ones(len(albedo)), texels))
    out = np.zeros((SIZE, SIZE, 3))
    free = np.ones((SIZE, SIZE))
    for chosen in order[:DETAIL_FRAMES]:
        frame = samples[chosen]
        good = frame.cosine > DETAIL_COSINE
        place = texels.place[frame.texel[good]]
        seen = np.zeros((SIZE, SIZE))
        seen.reshape(-1)[place] = 1
        values = np.zeros((SIZE * SIZE, 3))
        values[place] = np.log(np.maximum(frame.colour[good], 1e-3) / shades[chosen][good])
        high = values.reshape(SIZE, SIZE, 3) - _blurred(values.reshape(SIZE, SIZE, 3), seen)
        # Fade out toward where the frame does not show the hand.
        inner = cv2.GaussianBlur(cv2.erode(seen, np.ones((3, 3))), (0, 0), FEATHER) * seen
        share = free * np.clip(2 * inner - 1, 0, 1)
        out += share[..., None] * high
        free -= share
    # Where no frame gives detail, the mean's own stays.
    mean = _image(np.log(albedo), texels) - smooth
    total = (smooth + out + free[..., None] * mean).reshape(-1, 3)[texels.place]
    return np.exp(np.clip(total - np.log(albedo), -0.7, 0.7))


def _image(values: Array, texels: Texels) -> Array:
    """Values [T, ...] of texels as an image [S, S, ...], zero elsewhere."""
    image = np.zeros((SIZE * SIZE, *values.shape[1:]))
    image[texels.place] = values
    return image.reshape(SIZE, SIZE, *values.shape[1:])


def _blurred(image: Array, seen: Array) -> Array:
    """The image [S, S, 3] without detail, from what is seen [S, S]."""
    weight = cv2.GaussianBlur(seen, (0, 0), DETAIL)
    blurred = cv2.GaussianBlur(image * seen[..., None], (0, 0), DETAIL)
    return np.asarray(blurred / np.maximum(weight, 1e-6)[..., None])


def _texture(
    shown: Array, known: Array, hand: HandModel, texels: Texels
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The texture [S * S, 3] with a generated skin of this tone where none was seen."""
    seen = known >= KNOWN
    generated = _generated(shown[seen].mean(0))
    scale = shown[seen].mean(0) / np.maximum(generated[texels.place[seen]].mean(0), 1)
    texture = np.clip(generated * scale, 0, 255)
    trust = np.clip(known / KNOWN, 0, 1)[:, None]
    texture[texels.place] = trust * shown + (1 - trust) * texture[texels.place]
    mask = np.zeros(SIZE * SIZE, bool)
    mask[texels.place[seen]] = True
    return texture, mask.reshape(SIZE, SIZE)


def _generated(mean: Array) -> NDArray[np.float64]:
    """A generated skin [S * S, 3] whose tone is nearest to a mean colour (0..255)."""
    tones = np.linspace(0, 1, 6).tolist()
    # Tones differ in brightness, and lights too: the relation of the channels is compared.
    colours = [skin_texture(tone, 0, size=TONE_SIZE).reshape(-1, 3).mean(0) for tone in tones]
    apart = [np.abs(colour / colour.mean() - mean / mean.mean()).sum() for colour in colours]
    nearest = tones[int(np.argmin(apart))]
    return skin_texture(nearest, 0, size=SIZE).reshape(-1, 3).astype(np.float64)


def arm_colours(
    texture: Array,  # [S * S, 3] in 0..255
    colour: NDArray[np.uint8],  # [3] sRGB of the forearm
    hand: HandModel,
    texels: Texels,
) -> tuple[NDArray[np.int64], Array]:
    """Places [A] and colours [A, 3] of the arm's texels.

    A bare arm fades from the skin beside it to its own colour; a sleeve has one colour.
    """
    place, face, weights = covered_texels(hand)
    arm = (hand.vertex_part[hand.faces[face]] == SLEEVE).any(1)
    out: Array = np.tile(colour.astype(np.float64), (int(arm.sum()), 1))
    where = np.einsum('nk,nkc->nc', weights[arm], hand.v_template[hand.faces[face[arm]]])
    corners = hand.v_template[hand.faces[texels.face]]
    skin = np.einsum('nk,nkc->nc', texels.weights, corners)
    distance, nearest = cKDTree(skin).query(where, k=BESIDE, distance_upper_bound=WRIST_FADE)
    near = np.isfinite(distance).all(1)
    beside = texture[texels.place[nearest[near]]].mean(1)
    if not near.any() or np.abs(beside.mean(0) - colour).mean() > ALIKE:
        return place[arm], out
    share = 1 - distance[near, 0] / WRIST_FADE
    share = (share * share * (3 - 2 * share))[:, None]
    out[near] = share * beside + (1 - share) * out[near]
    return place[arm], out


def as_light(light: Array) -> Light:
    """A fitted light [9, 3] as lamp, surrounding and the ball of its colours."""
    normals = even_directions(BALL)
    facing = shade_of(np.array([[0.0, 0.0, -1.0]]), light)
    grey = srgb_to_linear(np.array([SHOWN])) * shade_of(normals, light) / facing
    shown = encode_srgb(grey) / 255
    front = normals[:, 2] < BEHIND
    # What no camera sees is set to the mean, so that the light has no lamp there.
    shown[~front] = shown[front].mean(0)
    weight = np.where(front, 1.0, 0.02)[:, None]
    terms = np.stack([np.prod(normals**power, 1) for power in POWERS], 1)
    ball = np.linalg.lstsq(terms * weight, shown * weight, rcond=None)[0]
    found = lamp_and_ambient(torch.from_numpy(ball.astype(np.float32))[None])
    return replace(found, size=LAMP_SIZE)
