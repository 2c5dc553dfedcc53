"""Warp kernels that pose the surfaces: bones, vertices and vertex normals in the camera's frame."""

# mypy: ignore-errors
from __future__ import annotations

import warp as wp

JOINTS = 16
BONES = 18
"""Of a hand: of the joints, of the forearm and of the upper arm."""
BETAS = 10

wp.set_module_options({'enable_backward': False})


@wp.func
def axis_angle_rotation(v: wp.vec3) -> wp.mat33:
    """Rodrigues' formula; the series near 0 keeps it smooth."""
    angle_2 = wp.dot(v, v)
    a = 1.0 - angle_2 / 6.0
    b = 0.5 - angle_2 / 24.0
    if angle_2 > 1e-4:
        angle = wp.sqrt(angle_2)
        a = wp.sin(angle) / angle
        b = (1.0 - wp.cos(angle)) / angle_2
    k = wp.skew(v)
    return wp.identity(n=3, dtype=wp.float32) + a * k + b * (k * k)


@wp.func
def shaped_joint(
    betas: wp.array2d(dtype=wp.float32),
    rest_joint: wp.array2d(dtype=wp.vec3),
    joint_dirs: wp.array3d(dtype=wp.vec3),
    s: int,
    j: int,
) -> wp.vec3:
    """Rest position of a joint with the surface's betas."""
    rest = rest_joint[s, j]
    for b in range(BETAS):
        rest += betas[s, b] * joint_dirs[s, j, b]
    return rest


@wp.kernel
def pose_bones(
    first: int,
    lanes: int,
    present: wp.array(dtype=wp.int32),  # [S]
    camera_from_root: wp.array(dtype=wp.mat44),  # [S]
    theta: wp.array2d(dtype=wp.vec3),  # [S, 15] axis-angle, of the joints after the wrist
    betas: wp.array2d(dtype=wp.float32),  # [S, 10]
    arm: wp.array2d(dtype=wp.mat44),  # [S, 2] bones in the wrist's axes, with joint 0 as origin
    link: wp.array(dtype=wp.mat44),  # [K] camera from link, of all robots
    link_start: wp.array(dtype=wp.int32),  # [S + 1] CSR over the links of each surface
    is_hand: wp.array(dtype=wp.int32),  # [S]
    parent: wp.array2d(dtype=wp.int32),  # [S, 16]
    rest_joint: wp.array2d(dtype=wp.vec3),  # [S, 16] at zero betas
    joint_dirs: wp.array3d(dtype=wp.vec3),  # [S, 16, 10]
    bone_rotation: wp.array2d(dtype=wp.mat33),  # [S, B] out: camera from rest
    bone_origin: wp.array2d(dtype=wp.vec3),  # [S, B] out
    pose_feature: wp.array2d(dtype=wp.float32),  # [S, 135] out: joint rotations minus identity
):
    """The bone transforms of linear blend skinning; a rigid object has one bone, a robot one
    for each link. Those of the arm, which also stretch, and of links are given.

    With one thread per surface (lanes = 1), each bone is computed from its parent's. With one
    thread per joint (lanes = 16), each thread computes the chain from the root to its joint, with
    the same operations.
    """
    t = wp.tid()
    s = first + t // lanes
    if present[s] == 0:
        return
    m = camera_from_root[s]
    root = wp.mat33(
        m[0, 0], m[0, 1], m[0, 2],
        m[1, 0], m[1, 1], m[1, 2],
        m[2, 0], m[2, 1], m[2, 2],
    )  # fmt: skip
    origin = wp.vec3(m[0, 3], m[1, 3], m[2, 3])
    start = t % lanes
    stop = start + 1
    first_link = link_start[s]
    links = link_start[s + 1] - first_link
    if links > 0:
        for k in range(start, links, lanes):
            n = link[first_link + k]
            bone_rotation[s, k] = wp.mat33(
                n[0, 0], n[0, 1], n[0, 2],
                n[1, 0], n[1, 1], n[1, 2],
                n[2, 0], n[2, 1], n[2, 2],
            )  # fmt: skip
            bone_origin[s, k] = wp.vec3(n[0, 3], n[1, 3], n[2, 3])
        return
    if is_hand[s] == 0:
        if start == 0:
            bone_rotation[s, 0] = root
            bone_origin[s, 0] = origin
        return
    if start == 0:
        rest = shaped_joint(betas, rest_joint, joint_dirs, s, 0)
        for k in range(2):
            n = arm[s, k]
            turn = wp.mat33(
                n[0, 0], n[0, 1], n[0, 2],
                n[1, 0], n[1, 1], n[1, 2],
                n[2, 0], n[2, 1], n[2, 2],
            )  # fmt: skip
            offset = wp.vec3(n[0, 3], n[1, 3], n[2, 3])
            bone_rotation[s, JOINTS + k] = root * turn
            bone_origin[s, JOINTS + k] = origin + root * (offset - turn * rest)
    if lanes == 1:
        stop = JOINTS
    for j in range(start, stop):
        steps = wp.int32(0)  # ancestors between the root and j, whose bones this thread needs
        if lanes > 1:
            up = wp.int32(j)
            while up > 0:
                up = parent[s, up]
                steps += 1
        rotation = root
        position = origin
        local = wp.identity(n=3, dtype=wp.float32)
        bone = wp.vec3(0.0, 0.0, 0.0)
        if lanes == 1 and j > 0:
            rotation = bone_rotation[s, parent[s, j]]
            bone = bone_origin[s, parent[s, j]]
        for k in range(steps + 1):
            joint = wp.int32(j)
            for _ in range(steps - k):
                joint = parent[s, joint]
            rest = shaped_joint(betas, rest_joint, joint_dirs, s, joint)
            if joint > 0:
                local = axis_angle_rotation(theta[s, joint - 1])
                position = rotation * rest + bone
                rotation = rotation * local
            bone = position - rotation * rest
        if j > 0:
            for k in range(9):
                one = 0.0
                if k % 4 == 0:
                    one = 1.0
                pose_feature[s, 9 * (j - 1) + k] = local[k // 3, k % 3] - one
        bone_rotation[s, j] = rotation
        bone_origin[s, j] = bone


@wp.kernel
def pose_vertices(
    first: int,
    present: wp.array(dtype=wp.int32),  # [S]
    betas: wp.array2d(dtype=wp.float32),  # [S, 10]
    surface: wp.array(dtype=wp.int32),  # [V]
    rest: wp.array(dtype=wp.vec3),  # [V]
    weight_start: wp.array(dtype=wp.int32),  # [V + 1] CSR over the bones of each vertex
    weight_joint: wp.array(dtype=wp.int32),
    weight: wp.array(dtype=wp.float32),
    shape_row: wp.array(dtype=wp.int32),  # [V] row of shape_dirs, or -1
    shape_dirs: wp.array2d(dtype=wp.vec3),  # [rows, 10]
    pose_row: wp.array(dtype=wp.int32),  # [V] row of pose_dirs, or -1
    pose_dirs: wp.array2d(dtype=wp.vec3),  # [rows, 135]
    bone_rotation: wp.array2d(dtype=wp.mat33),  # [S, B]
    bone_origin: wp.array2d(dtype=wp.vec3),  # [S, B]
    pose_feature: wp.array2d(dtype=wp.float32),  # [S, 135]
    vertices: wp.array(dtype=wp.vec3),  # [V] out: camera frame, metres
):
    """Shape and pose blend shapes, then skinning; vertices of absent surfaces do not change."""
    v = first + wp.tid()
    s = surface[v]
    if present[s] == 0:
        return
    p = rest[v]
    row = shape_row[v]
    if row >= 0:
        for b in range(BETAS):
            p += betas[s, b] * shape_dirs[row, b]
    row = pose_row[v]
    if row >= 0:
        for k in range(135):
            p += pose_feature[s, k] * pose_dirs[row, k]
    posed = wp.vec3(0.0, 0.0, 0.0)
    for i in range(weight_start[v], weight_start[v + 1]):
        j = weight_joint[i]
        posed += weight[i] * (bone_rotation[s, j] * p + bone_origin[s, j])
    vertices[v] = posed


@wp.kernel
def vertex_normals(
    first: int,
    present: wp.array(dtype=wp.int32),  # [S]
    surface: wp.array(dtype=wp.int32),  # [V]
    fan_start: wp.array(dtype=wp.int32),  # [V + 1] CSR over the corners at each vertex
    fan: wp.array2d(dtype=wp.int32),  # [3F, 2] the two other vertices, in the face's order
    vertices: wp.array(dtype=wp.vec3),  # [V] camera frame
    normals: wp.array(dtype=wp.vec3),  # [V] out: unit, outward; 0 at a vertex without area
):
    """The area-weighted mean of the normals around a vertex, summed in a fixed order."""
    v = first + wp.tid()
    if present[surface[v]] == 0:
        return
    p = vertices[v]
    total = wp.vec3(0.0, 0.0, 0.0)
    for i in range(fan_start[v], fan_start[v + 1]):
        total += wp.cross(vertices[fan[i, 0]] - p, vertices[fan[i, 1]] - p)
    normals[v] = wp.normalize(total)
