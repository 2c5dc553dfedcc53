"""glTF's materials, reduced to one image or colour each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.objects.formats.gltf_file import Gltf
from manivideo_ros.objects.formats.piece import GLOSS, clamped, displayed

CLAMP, MIRROR = 33071, 33648
UNIT = 'KHR_materials_pbrSpecularGlossiness'


@dataclass(frozen=True, eq=False)
class Material:
    """linear: factor [3] on colours in linear light; texture: textureInfo of the colour, or None;
    alpha: alphaMode; stated: whether the file has the material; metal: 0 where it is not stated,
    though glTF's default is 1: of materials that were never thought of as metals."""

    linear: NDArray[np.float64]
    texture: dict[str, Any] | None
    alpha: str
    gloss: float
    stated: bool
    metal: float = 0.0


def material_of(gltf: Gltf, n: Any) -> Material:
    """Material n; None: the default material."""
    if n is None:
        return Material(np.ones(3), None, 'OPAQUE', GLOSS, False)
    material = gltf.item('materials', n)
    physical, gloss, metal = material.get('pbrMetallicRoughness', {}), GLOSS, 0.0
    if 'roughnessFactor' in physical:
        gloss = float(np.clip(1 - physical['roughnessFactor'], 0, 1))
    if 'metallicRoughnessTexture' not in physical:
        metal = float(np.clip(physical.get('metallicFactor', 0.0), 0, 1))
    factor, texture = physical.get('baseColorFactor'), physical.get('baseColorTexture')
    older = material.get('extensions', {}).get(UNIT)
    if older is not None:
        factor, texture = older.get('diffuseFactor'), older.get('diffuseTexture')
        gloss, metal = float(np.clip(older.get('glossinessFactor', 1.0), 0, 1)), 0.0
    linear = _rgb(factor, 1.0)
    emissive, shining = _rgb(material.get('emissiveFactor'), 0.0), material.get('emissiveTexture')
    if emissive.any() and (not linear.any() or (factor is None and texture is None)):
        strength = material.get('extensions', {}).get('KHR_materials_emissive_strength', {})
        emissive = emissive * strength.get('emissiveStrength', 1.0)
        linear, texture = np.clip(emissive, 0, 1), shining  # a purely emissive material
    return Material(linear, texture, material.get('alphaMode', 'OPAQUE'), gloss, True, metal)


def image_of(gltf: Gltf, material: Material, instead: str) -> tuple[NDArray[np.uint8] | None, Any]:
    """The image u8 [h, w, 3] of a material's colour texture with its factor, and the sampler."""
    info = material.texture or {}
    texture = gltf.item('textures', info.get('index'))
    extensions = texture.get('extensions', {})
    source = extensions.get('EXT_texture_webp', {}).get('source', texture.get('source'))
    for other in ('MSFT_texture_dds', 'KHR_texture_basisu'):
        if source is None:
            source = extensions.get(other, {}).get('source')
    sampler = gltf.item('samplers', texture['sampler']) if 'sampler' in texture else {}
    if source is None:
        gltf.beside.warn(f'textures[{info.get("index")}] has no image; shown instead: {instead}')
        return None, sampler
    stated = gltf.item('images', source)
    name, data = stated.get('uri', ''), None
    if 'bufferView' in stated or name.startswith('data:'):
        uri = name
        name = stated.get('name') or f'images[{source}]'
        data = gltf.view(stated['bufferView'])[0] if not uri else gltf.bytes_of_uri(uri)
    image = gltf.beside.image(name, instead, data)
    if image is None:
        return None, sampler
    factor = np.asarray(displayed(material.linear))
    return np.round(_opaque(gltf, image, material) * factor).astype(np.uint8), sampler


def placed_on(
    image: NDArray[np.uint8],
    info: dict[str, Any],
    sampler: dict[str, Any],
    uv: NDArray[np.floating],
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A repeating image, and its coordinates [..., 2], v up, with transform and wrap modes."""
    at = np.nan_to_num(np.asarray(uv, np.float64), posinf=0, neginf=0)
    moved = info.get('extensions', {}).get('KHR_texture_transform')
    if moved:
        turn, by = float(moved.get('rotation', 0.0)), np.asarray(moved.get('offset', (0, 0)), float)
        at = at * np.asarray(moved.get('scale', (1, 1)), float)
        c, s = np.cos(turn), np.sin(turn)
        # Counterclockwise with v down, as in the sample viewer and three.js.
        at = np.stack([c * at[..., 0] + s * at[..., 1], c * at[..., 1] - s * at[..., 0]], -1) + by
    for axis, key in enumerate(('wrapS', 'wrapT')):
        if sampler.get(key) == CLAMP:
            image, at = clamped(image, at, axis)
        elif sampler.get(key) == MIRROR and (at[..., axis].min() < 0 or at[..., axis].max() > 1):
            image = np.concatenate([image, np.flip(image, 1 - axis)], 1 - axis)
            at[..., axis] = at[..., axis] / 2
    return image, np.stack([at[..., 0], 1 - at[..., 1]], -1)


def coordinate_set(info: dict[str, Any]) -> int:
    """The index of a texture's TEXCOORD."""
    moved = info.get('extensions', {}).get('KHR_texture_transform', {})
    return int(moved.get('texCoord', info.get('texCoord', 0)))


def _opaque(gltf: Gltf, image: NDArray[np.uint8], material: Material) -> NDArray[np.float64]:
    """RGB [h, w, 3]; unless alphaMode is OPAQUE, alpha blends with the image's mean colour."""
    rgb = image[..., :3].astype(np.float64)
    if image.shape[-1] == 3 or material.alpha == 'OPAQUE' or bool((image[..., 3] > 250).all()):
        return rgb
    alpha = image[..., 3:] / 255.0
    gltf.beside.warn('parts of it are transparent: they are shown opaque, in its mean colour')
    mean = (rgb * alpha).sum((0, 1)) / max(float(alpha.sum()), 1e-6)
    blended: NDArray[np.float64] = rgb * alpha + mean * (1 - alpha)
    return blended


def _rgb(factor: Any, default: float) -> NDArray[np.float64]:
    if factor is None:
        return np.full(3, default)
    values = np.asarray(factor, np.float64).reshape(-1)[:3]
    if len(values) != 3:
        raise ValueError(f'{factor} is no colour')
    return np.nan_to_num(values, nan=default)
