"""MoveIt's planning scene, built from messages: its objects, and those that the robot holds.

An object is published once and stays. Every method that takes a message returns its problems.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.messages.read import read_pose
from manivideo_ros.motion.transforms import TransformTree
from manivideo_ros.ros.sources.moveit_messages import (
    ADD,
    APPEND,
    MOVE,
    REMOVE,
    Triangles,
    operation_of,
    read_shape,
)

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Thing:
    """An object: its pose [4, 4] in a frame; held: whether the link `frame` holds it."""

    frame: str
    pose: Array
    shape: Triangles | None = None
    held: bool = False


class MoveitScene:
    """Takes messages; transforms: locate an object when the robot attaches or detaches it."""

    def __init__(self, transforms: TransformTree) -> None:
        self.things: dict[str, Thing] = {}
        self.removed: list[tuple[str, Thing]] = []
        self.changes = 0  # how often shapes were added or removed
        self._transforms = transforms

    @property
    def shapes(self) -> dict[str, Triangles]:
        """The shape of every object that has one."""
        return {i: t.shape for i, t in self.things.items() if t.shape is not None}

    def take(self, message: Any) -> list[str]:
        """Take a PlanningScene, AttachedCollisionObject or CollisionObject."""
        if hasattr(message, 'world'):
            return self._take_scene(message)
        if hasattr(message, 'link_name'):
            return self._guarded(self._attach, message, '')
        return self._guarded(self._place, message, '')

    def _take_scene(self, message: Any) -> list[str]:
        state = message.robot_state
        stay = {item.id for item in message.world.collision_objects}
        held = {item.object.id for item in state.attached_collision_objects}
        for name, thing in list(self.things.items()):
            whole = not (state if thing.held else message).is_diff
            if whole and name not in stay | held:
                self._forget(name)
        problems = []
        for n, item in enumerate(message.world.collision_objects):
            problems += self._guarded(self._place, item, f'world.collision_objects[{n}].')
        for n, item in enumerate(state.attached_collision_objects):
            where = f'robot_state.attached_collision_objects[{n}].'
            problems += self._guarded(self._attach, item, where)
        return problems

    def _guarded(self, take: Any, message: Any, where: str) -> list[str]:
        try:
            take(message)
        except (ValueError, LookupError) as error:
            return [f'{where}{error}']
        return []

    def _place(self, message: Any) -> None:
        operation, name = operation_of(message), message.id
        if operation == REMOVE:
            for gone in [name] if name else [n for n, t in self.things.items() if not t.held]:
                self._forget(gone)
            return
        pose = read_pose(message.pose, 'pose')
        frame, before = message.header.frame_id, self.things.get(name)
        shape = None if operation == MOVE else read_shape(message)
        if operation not in (ADD, APPEND, MOVE):
            raise ValueError(f'operation: {operation} is unknown')
        if operation != ADD and before is not None and before.shape is not None:
            shape = before.shape if shape is None else before.shape + shape
        self._set(name, Thing(frame, pose, shape))

    def _attach(self, message: Any) -> None:
        item, link = message.object, message.link_name
        name, before = item.id, self.things.get(item.id)
        if operation_of(item) == REMOVE:
            held = [n for n, t in self.things.items() if t.held and link in ('', t.frame)]
            for detached in [n for n in held if name in ('', n)]:
                self._detach(detached)
            return
        shape = read_shape(item)
        if shape is None and before is not None:
            # An object of the world, which the robot grasps at its present pose.
            frame, pose, shape = before.frame, before.pose, before.shape
        else:
            frame, pose = item.header.frame_id or link, read_pose(item.pose, 'object.pose')
        if frame != link:
            pose = self._transforms.lookup(link, frame) @ pose
        self._set(name, Thing(link, pose, shape, held=True))

    def _detach(self, name: str) -> None:
        """Leave the object at its present pose, in the root frame of the link's tree."""
        thing = self.things[name]
        root = self._transforms.root(thing.frame)
        pose = self._transforms.lookup(root, thing.frame) @ thing.pose
        self.things[name] = replace(thing, frame=root, pose=pose, held=False)

    def _set(self, name: str, thing: Thing) -> None:
        if not name:
            raise ValueError('id: is empty: every object needs one')
        old = self.things[name].shape if name in self.things else None
        if thing.shape is not None and thing.shape.same(old):
            thing = replace(thing, shape=old)
        self.changes += thing.shape is not old
        self.things[name] = thing

    def _forget(self, name: str) -> None:
        thing = self.things.pop(name, None)
        if thing is not None:
            self.removed.append((name, thing))
            self.changes += thing.shape is not None
