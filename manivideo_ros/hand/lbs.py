"""Linear blend skinning of a hand in torch, batched, without host synchronisation.

The formulas are SMPL's (Loper et al. 2015) with MANO's tree: blend shapes, pose correctives,
skinning. Results equal smplx's, except that joint 0 is at `wrist_position`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from manivideo_ros.hand.model import HandModel

# Joints of five chains in the order of MANO: index, middle, pinky, ring, thumb.
FINGERS = 5
# MediaPipe's 21 keypoints as indices into [16 joints, 5 tips thumb .. pinky].
_KEYPOINTS = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)


@dataclass(frozen=True)
class _Tensors:
    v_template: torch.Tensor  # [V, 3]
    shapedirs: torch.Tensor  # [V*3, 10]
    posedirs: torch.Tensor | None  # [V*3, 135]
    weights: torch.Tensor  # [V, 16]
    arm_weights: torch.Tensor | None  # [V, 2]
    joints: torch.Tensor  # [16, 3]
    joint_shapedirs: torch.Tensor  # [48, 10]
    tips: torch.Tensor  # [5]
    keypoint_order: torch.Tensor  # [21]


@lru_cache(maxsize=16)
def _tensors(hand: HandModel, device: torch.device, dtype: torch.dtype) -> _Tensors:
    def put(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array, dtype=dtype, device=device)

    regressor = hand.J_regressor.astype(np.float64)
    return _Tensors(
        v_template=put(hand.v_template),
        shapedirs=put(hand.shapedirs.reshape(-1, 10)),
        posedirs=put(hand.posedirs.reshape(-1, 135)) if hand.posedirs.any() else None,
        weights=put(hand.weights),
        arm_weights=None if hand.arm_weights is None else put(hand.arm_weights),
        joints=put(regressor @ hand.v_template),
        joint_shapedirs=put(np.einsum('jv,vcs->jcs', regressor, hand.shapedirs).reshape(48, 10)),
        tips=torch.as_tensor(hand.tip_vertices, dtype=torch.long, device=device),
        keypoint_order=torch.tensor(_KEYPOINTS, device=device),
    )


def rotation_matrices(axis_angle: torch.Tensor) -> torch.Tensor:
    """Rotation matrices [..., 3, 3] of axis-angle vectors [..., 3] (Rodrigues), smooth at zero."""
    square = (axis_angle * axis_angle).sum(-1)
    angle = torch.sqrt(square.clamp_min(1e-14))[..., None, None]
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    a = torch.sin(angle) / angle
    b = 0.5 * (torch.sin(0.5 * angle) / (0.5 * angle)) ** 2
    eye = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    rotation: torch.Tensor = eye + a * skew + b * (skew @ skew)
    return rotation


def rest_joints(hand: HandModel, betas: torch.Tensor) -> torch.Tensor:
    """Joints [B, 16, 3] of the flat hand with betas [B, 10], in the model's frame."""
    t = _tensors(hand, betas.device, betas.dtype)
    joints: torch.Tensor = t.joints + (betas @ t.joint_shapedirs.T).unflatten(-1, (16, 3))
    return joints


def lbs(
    hand: HandModel,
    theta: torch.Tensor,
    betas: torch.Tensor,
    wrist_rotation: torch.Tensor,
    wrist_position: torch.Tensor,
    arm: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Vertices [B, V, 3] and joints [B, 16, 3] of a posed hand, metres, in the wrist pose's frame.

    theta [B, 45]: axis-angles relative to the flat hand. betas [B, 10]. wrist_rotation [B, 3, 3]:
    of the hand's rest frame. wrist_position [B, 3]: of joint 0. arm [B, 2, 3, 4]: `arm_bones`;
    None: the arm is straight. All of one dtype and device.
    """
    t = _tensors(hand, theta.device, theta.dtype)
    batch = theta.shape[0]
    shaped = t.v_template + (betas @ t.shapedirs.T).unflatten(-1, (-1, 3))
    joints = rest_joints(hand, betas)
    local = rotation_matrices(theta.reshape(batch, 15, 3))
    if t.posedirs is not None:
        eye = torch.eye(3, dtype=theta.dtype, device=theta.device)
        shaped = shaped + ((local - eye).flatten(1) @ t.posedirs.T).unflatten(-1, (-1, 3))

    chains = joints[:, 1:].unflatten(1, (FINGERS, 3))
    local = local.unflatten(1, (FINGERS, 3))
    rotation = wrist_rotation[:, None].expand(-1, FINGERS, -1, -1)
    place = wrist_position[:, None].expand(-1, FINGERS, -1)
    parent = joints[:, :1].expand(-1, FINGERS, -1)
    rotations, places = [], []
    for k in range(3):
        place = place + (rotation @ (chains[:, :, k] - parent)[..., None])[..., 0]
        rotation, parent = rotation @ local[:, :, k], chains[:, :, k]
        rotations.append(rotation)
        places.append(place)
    posed = torch.cat([wrist_position[:, None], torch.stack(places, 2).flatten(1, 2)], 1)
    turned = torch.cat([wrist_rotation[:, None], torch.stack(rotations, 2).flatten(1, 2)], 1)
    offsets = posed - (turned @ joints[..., None])[..., 0]

    bones = torch.cat([turned, offsets[..., None]], -1).flatten(2)  # [B, 16, 12]
    blended = (t.weights @ bones).unflatten(-1, (3, 4))  # [B, V, 3, 4]
    if arm is not None and t.arm_weights is not None:
        blended = blended + _of_arm(t.arm_weights, arm, bones[:, 0].unflatten(-1, (3, 4)), joints)
    vertices = (blended[..., :3] @ shaped[..., None])[..., 0] + blended[..., 3]
    return vertices, posed


def _of_arm(
    weights: torch.Tensor,  # [V, 2]
    arm: torch.Tensor,  # [B, 2, 3, 4]
    wrist: torch.Tensor,  # [B, 3, 4] bone of the wrist
    joints: torch.Tensor,  # [B, 16, 3] at rest
) -> torch.Tensor:
    """What the bones of the arm change of each vertex's transform [B, V, 3, 4]."""
    turn, root = arm[..., :3], joints[:, None, 0, :, None]  # [B, 2, 3, 3], [B, 1, 3, 1]
    offset = arm[..., 3:] + root - turn @ root
    rotation = wrist[:, None, :, :3]
    bones = torch.cat([rotation @ turn, rotation @ offset + wrist[:, None, :, 3:]], -1)
    change = (bones - wrist[:, None]).flatten(2)  # [B, 2, 12]
    transforms: torch.Tensor = (weights @ change).unflatten(-1, (3, 4))
    return transforms


def keypoints21(hand: HandModel, vertices: torch.Tensor, joints: torch.Tensor) -> torch.Tensor:
    """Points [B, 21, 3] in MediaPipe's order: wrist, then thumb to pinky with 4 points each."""
    t = _tensors(hand, vertices.device, vertices.dtype)
    return torch.cat([joints, vertices[:, t.tips]], 1)[:, t.keypoint_order]
