"""Reads the objects of MoveIt's messages: pure functions that use only fields.

Message packages are optional and are not imported here. Published layouts:
moveit_msgs/CollisionObject {header, pose, id, primitives[], primitive_poses[], meshes[],
mesh_poses[], planes[], operation}; AttachedCollisionObject {link_name, object}; PlanningScene
{robot_state {attached_collision_objects[], is_diff}, world {collision_objects[]}, is_diff};
shape_msgs/SolidPrimitive {type, dimensions}; shape_msgs/Mesh {triangles[] {vertex_indices},
vertices[]}.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import transform_points
from manivideo_ros.messages.read import read_pose
from manivideo_ros.objects.primitives import triangles_of

Array = NDArray[np.floating]

# moveit_msgs/CollisionObject.operation.
ADD, REMOVE, APPEND, MOVE = range(4)
# shape_msgs/SolidPrimitive.type.
_PRIMITIVES = {1: 'box', 2: 'sphere', 3: 'cylinder', 4: 'cone', 5: 'prism'}


@dataclass(frozen=True, eq=False)
class Triangles:
    """Vertices [V, 3], metres in the object's frame, and faces [F, 3]."""

    vertices: Array
    faces: NDArray[np.integer]

    def same(self, other: Triangles | None) -> bool:
        """Whether another one has the same vertices and faces."""
        return (
            other is not None
            and np.array_equal(self.vertices, other.vertices)
            and np.array_equal(self.faces, other.faces)
        )

    def __add__(self, other: Triangles) -> Triangles:
        return Triangles(
            np.concatenate([self.vertices, other.vertices]),
            np.concatenate([self.faces, other.faces + len(self.vertices)]),
        )


def operation_of(message: Any) -> int:
    """The operation of a CollisionObject."""
    operation = message.operation
    return operation[0] if isinstance(operation, bytes) else int(operation)


def read_shape(message: Any) -> Triangles | None:
    """All solids and meshes of a CollisionObject in its own frame; None if it has none.

    Raises ValueError with the name of the field.
    """
    parts = []
    for n, (solid, pose) in enumerate(_placed(message, 'primitives', 'primitive_poses')):
        kind = _PRIMITIVES.get(int(solid.type), f'primitive of type {solid.type}')
        try:
            vertices, faces = triangles_of(kind, solid.dimensions)
        except ValueError as error:
            raise ValueError(f'primitives[{n}]: {error}') from None
        parts.append(Triangles(transform_points(pose, vertices), faces))
    for n, (mesh, pose) in enumerate(_placed(message, 'meshes', 'mesh_poses')):
        vertices = np.array([[p.x, p.y, p.z] for p in mesh.vertices], np.float64).reshape(-1, 3)
        faces = np.array([t.vertex_indices for t in mesh.triangles], np.int64).reshape(-1, 3)
        if not np.isfinite(vertices).all():
            raise ValueError(f'meshes[{n}].vertices: not finite')
        if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
            raise ValueError(f'meshes[{n}].triangles: an index that is not among the vertices')
        parts.append(Triangles(transform_points(pose, vertices), faces))
    parts = [part for part in parts if len(part.faces)]
    if not parts:
        return None
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    return whole


def _placed(message: Any, shapes: str, poses: str) -> list[tuple[Any, Array]]:
    """Each shape and its pose [4, 4] in the object's frame; without poses, the identity."""
    found, places = getattr(message, shapes), getattr(message, poses)
    if len(places) not in (0, len(found)):
        raise ValueError(f'{poses}: {len(places)} for {len(found)} {shapes}')
    return [
        (shape, read_pose(places[n], f'{poses}[{n}]') if places else np.eye(4))
        for n, shape in enumerate(found)
    ]
