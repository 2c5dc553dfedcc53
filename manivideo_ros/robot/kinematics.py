"""Forward kinematics: the poses of all links at once, for any number of configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import ArrayLike

from manivideo_ros.robot.description import Array, RobotDescription


class Kinematics:
    """Forward kinematics of a description, `robot`.

    joints: the names of those with a position of their own, in the order of positions; mimics
    follow them. limits [J, 2]: -inf and inf where there are none. continuous [J]: whether they turn
    without end. links: the names of the links
    whose poses are computed, in their order; None for all.

    Raises ValueError for links that the robot does not have.
    """

    def __init__(self, robot: RobotDescription, links: Sequence[str] | None = None) -> None:
        self.robot = robot
        self.links = tuple(robot.links if links is None else links)
        if absent := [name for name in self.links if name not in robot.links]:
            raise ValueError(f'{absent[0]!r} is no link of the robot {robot.name!r}')
        needed = self._needed(robot)
        joints = [joint for joint in robot.joints if joint.child in needed]
        depth = {robot.root: 0}
        for joint in joints:
            depth[joint.child] = depth[joint.parent] + 1
        joints.sort(key=lambda joint: depth[joint.child])
        # Row 0 is the root; row n + 1 the child of joint n.
        row = {robot.root: 0} | {joint.child: n + 1 for n, joint in enumerate(joints)}
        self._rows = np.array([row[name] for name in self.links], np.int64)
        self._levels = [
            np.array([row[joint.child] for joint in level])
            for _, level in groupby(joints, key=lambda joint: depth[joint.child])
        ]
        self._parents = np.array([0, *(row[joint.parent] for joint in joints)])
        own = [j for j in robot.joints if j.moves and robot.follows[j.name].joint == j.name]
        self.joints = tuple(joint.name for joint in own)
        free = (-np.inf, np.inf)
        self.limits = np.array([joint.limits or free for joint in own]).reshape(-1, 2)
        self.continuous = np.array([joint.kind == 'continuous' for joint in own], bool)
        count = len(joints)
        self._origin = np.array([joint.parent_from_joint for joint in joints]).reshape(-1, 4, 4)
        self._gain, self._offset = np.zeros((len(own), count)), np.zeros(count)
        turn, slide = np.zeros((count, 3)), np.zeros((count, 3))
        index = {name: n for n, name in enumerate(self.joints)}
        for n, joint in enumerate(joints):
            if not joint.moves:
                continue
            follows = robot.follows[joint.name]
            if follows.joint in index:
                self._gain[index[follows.joint], n] = follows.multiplier
            self._offset[n] = follows.offset
            (slide if joint.kind == 'prismatic' else turn)[n] = joint.axis
        self._slide, self._turn = slide, turn
        self._moved = np.zeros((count + 1, count), bool)  # by which joints each row is moved
        for n in range(count):
            self._moved[n + 1] = self._moved[self._parents[n + 1]]
            self._moved[n + 1, n] = True
        self._cross = np.zeros((count, 3, 3))
        x, y, z = turn.T
        self._cross[:, [2, 0, 1], [1, 2, 0]] = np.stack([x, y, z], -1)
        self._cross[:, [1, 2, 0], [2, 0, 1]] = -np.stack([x, y, z], -1)
        self._cross_2 = self._cross @ self._cross

    def positions(self, named: Mapping[str, float]) -> Array:
        """Positions [J] by the joints' names; 0 for those that are not named."""
        return np.array([float(named.get(name, 0.0)) for name in self.joints], np.float64)

    def poses(self, positions: ArrayLike) -> Array:
        """root_from_link [..., L, 4, 4] of `links`, at positions [..., J], rad and m."""
        return np.asarray(self._all_poses(positions)[..., self._rows, :, :])

    def points(
        self, positions: ArrayLike, links: ArrayLike, local: ArrayLike
    ) -> tuple[Array, Array]:
        """Points of links in the root's frame [K, 3], and their derivatives [K, 3, J].

        positions [J]; links [K]: indices into `links`; local [K, 3]: the points in their frames.
        """
        poses = self._all_poses(positions)
        rows = self._rows[np.asarray(links)]
        frames = poses[rows]
        at = np.einsum('kij,kj->ki', frames[:, :3, :3], np.asarray(local)) + frames[:, :3, 3]
        turning = poses[1:]
        axes = np.einsum('nij,nj->ni', turning[:, :3, :3], self._turn)
        ways = np.einsum('nij,nj->ni', turning[:, :3, :3], self._slide)
        arms = at[:, None] - turning[None, :, :3, 3]
        each = np.cross(axes[None], arms) + ways  # [K, N, 3]
        each = each * self._moved[rows][..., None]
        return at, np.swapaxes(each, 1, 2) @ self._gain.T

    def _all_poses(self, positions: ArrayLike) -> Array:
        """root_from_link [..., N + 1, 4, 4] of the root and the child of each joint."""
        q = np.asarray(positions, np.float64) @ self._gain + self._offset  # [..., N]
        angle = q[..., None, None]
        # Rodrigues' formula; what does not turn has no axis here.
        motion = np.zeros((*q.shape, 4, 4))
        motion[..., :3, :3] = (
            np.eye(3) + np.sin(angle) * self._cross + (1 - np.cos(angle)) * self._cross_2
        )
        motion[..., :3, 3] = q[..., None] * self._slide
        motion[..., 3, 3] = 1
        local = self._origin @ motion
        out = np.empty((*q.shape[:-1], q.shape[-1] + 1, 4, 4))
        out[..., 0, :, :] = np.eye(4)
        for rows in self._levels:
            out[..., rows, :, :] = out[..., self._parents[rows], :, :] @ local[..., rows - 1, :, :]
        return out

    def _needed(self, robot: RobotDescription) -> set[str]:
        """The links, and those between them and the root."""
        needed: set[str] = set()
        for name in self.links:
            while name in robot.above and name not in needed:
                needed.add(name)
                name = robot.above[name].parent
        return needed
