"""A robot as the rasterizer draws it: one mesh whose vertices are fixed to links, with layers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from manivideo_ros.files.bounded_yaml import load_yaml
from manivideo_ros.files.errors import reason_of
from manivideo_ros.hand.state import Side
from manivideo_ros.objects.formats.appearance import bake
from manivideo_ros.objects.formats.mesh_file import Piece, read_pieces
from manivideo_ros.objects.simplify import cluster, creased, sound_faces
from manivideo_ros.robot.budgets import budgets_of, casters_of
from manivideo_ros.robot.description import Array, RobotDescription
from manivideo_ros.robot.finger_points import FingerPoints, finger_points
from manivideo_ros.robot.kinematics import Kinematics
from manivideo_ros.robot.layers import HIDDEN, PARTS, RobotLayers, find_layers
from manivideo_ros.robot.mesh_files import MeshFiles
from manivideo_ros.robot.urdf import read_urdf
from manivideo_ros.robot.visuals import Missing, link_pieces

log = logging.getLogger(__name__)

MAX_TRIANGLES = 15_000
"""Of a whole robot; heavier meshes are simplified."""
MOST_LOOKED_AT = 20_000
"""Triangles of a link of which is found which ones are seen from outside."""
HEAVY = 100_000
"""Triangles of a robot from which simplification takes seconds."""
Outer = Callable[[NDArray[np.floating], NDArray[np.integer]], NDArray[np.bool_]]
DARKEST = np.uint8(38)
"""The least sRGB value of a material: 2 % of the light, as of black plastic; nothing is darker."""


@dataclass(frozen=True, eq=False)
class RobotModel:
    """The visible links of a robot as one triangle mesh.

    vertices float32 [V, 3]: metres, each in the frame of its link; vertex_link int32 [V]: index
    into kinematics.links; faces int32 [F, 3], counterclockwise from outside; casters int32
    [C, 3]: fewer faces of the same vertices, which cast the shadows; face_part int32 [F]:
    1 palm .. 6 pinky; face_left bool [F]: whether it belongs to a left hand. corner_uv float32
    [F, 3, 2], v down; texture uint8 [T, T, 3], sRGB albedo; gloss, metal float32 [F]: 0..1, how
    smooth and how metallic; seen bool [F]: whether a colour was seen in the scene's light, facing
    the camera, and is no albedo. fingers: their joints and tips. moving: the joints that move a
    visible link; all_joints: mimics and fixed ones too. carriers: the joints that carry each hand,
    by side.
    """

    name: str
    kinematics: Kinematics
    layers: RobotLayers
    root: str
    vertices: NDArray[np.float32]
    vertex_link: NDArray[np.int32]
    faces: NDArray[np.int32]
    casters: NDArray[np.int32]
    face_part: NDArray[np.int32]
    face_left: NDArray[np.bool_]
    corner_uv: NDArray[np.float32]
    texture: NDArray[np.uint8]
    gloss: NDArray[np.float32]
    metal: NDArray[np.float32]
    seen: NDArray[np.bool_]
    fingers: tuple[FingerPoints, ...]
    moving: frozenset[str]
    all_joints: frozenset[str]
    carriers: Mapping[Side, frozenset[str]]


def load_robot(
    urdf: str | bytes,
    files: MeshFiles,
    corrections: Mapping[str, object] | None = None,
    missing: Missing = 'collision',
    most: int = MAX_TRIANGLES,
    hint: str = '',
    outer: Outer | None = None,
) -> tuple[RobotModel, list[str]]:
    """The robot of a URDF (its text, or bytes), and problems with it, one line each.

    corrections: see `read_corrections`. missing: what replaces visuals that cannot be read. most:
    triangles of the whole robot. hint: the URDF's file name, which may name the side of the hand.
    outer: which faces of a mesh are seen from outside; others are left out of heavier robots.
    Raises ValueError, one line, for an unreadable URDF or one that shows nothing.
    """
    robot = read_urdf(urdf)
    problems = list(robot.problems)

    def report(text: str) -> None:
        if text not in problems:
            problems.append(text)

    parts, side = _corrections(corrections or {})
    read = cache(read_pieces)  # fingers often have the same meshes
    pieces = {
        name: found
        for name, link in robot.links.items()
        if (found := link_pieces(link, files, missing, report, read))
    }
    layers = find_layers(robot, pieces, parts, side, hint)
    problems += layers.problems
    pieces = {name: of for name, of in pieces.items() if layers.part[name] != HIDDEN}
    if not pieces:
        why = f': {problems[0]}' if problems else ' has no visuals'
        raise ValueError(f'the robot {robot.name!r} shows nothing{why}')
    count = sum(len(piece.faces) for of in pieces.values() for piece in of)
    if count > HEAVY:
        log.info('robot %s: simplifying %d triangles takes seconds', robot.name, count)
    model = _model(robot, layers, pieces, most, outer if count > most else None)
    if count > most:
        report(f'{count} triangles simplified to {len(model.faces)}')
    return model, problems


def load_robot_file(
    path: Path,
    packages: Sequence[str] = (),
    corrections: Path | None = None,
    missing: Missing = 'collision',
    most: int = MAX_TRIANGLES,
    outer: Outer | None = None,
) -> tuple[RobotModel, list[str]]:
    """The robot of a URDF file, and problems with it, as `load_robot`.

    Raises ValueError naming the file.
    """
    try:
        data = path.read_bytes()
        given = None if corrections is None else read_corrections(corrections)
        files = MeshFiles.of(path, packages)
        return load_robot(data, files, given, missing, most, path.stem, outer)
    except OSError as error:
        raise ValueError(f'{path}: {error.strerror or error}') from None
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def read_corrections(path: Path) -> Mapping[str, object]:
    """Corrections of a robot's layers from YAML.

    `side: left` or right; `layers:` with one of palm, thumb, index, middle, ring, pinky or hidden
    by the name of a link, in which * stands for any characters. Raises ValueError.
    """
    try:
        found = load_yaml(path.read_text('utf-8'))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise ValueError(f'{path}: {reason_of(error)}') from None
    if not isinstance(found, dict):
        raise ValueError(f'{path}: must have `layers` or `side`')
    try:
        _corrections(found)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    return found


def _corrections(given: Mapping[str, object]) -> tuple[dict[str, str], Side | None]:
    if unknown := set(given) - {'side', 'layers'}:
        raise ValueError(f'{sorted(map(str, unknown))[0]}: is neither side nor layers')
    side, parts = given.get('side'), given.get('layers') or {}
    if side not in (None, 'left', 'right'):
        raise ValueError(f'side: {side!r} is neither left nor right')
    if not isinstance(parts, Mapping):
        raise ValueError('layers: must have a layer by the name of each link')
    return {str(link): str(part) for link, part in parts.items()}, side


def _outside(
    vertices: Array, faces: NDArray[np.int64], kept: NDArray[np.int64], outer: Outer
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Faces [F, 3], and which of those that are kept [K] are seen from outside.

    Of a mesh that is much heavier than any image needs, only some faces are kept: each is drawn
    from all sides.
    """
    if len(kept) > MOST_LOOKED_AT:
        few, kept = cluster(vertices, faces, kept, MOST_LOOKED_AT)
        faces = faces.copy()
        faces[kept] = few
    return faces, kept[outer(vertices, faces[kept])] if len(kept) else kept


def _model(
    robot: RobotDescription,
    layers: RobotLayers,
    pieces: Mapping[str, list[Piece]],
    most: int,
    outer: Outer | None,
) -> RobotModel:
    drawn = tuple(pieces)
    # The fingers' links too, visible or not: their points are joints and tips.
    fingers_links = [name for finger in layers.fingers for name in finger.links]
    links = tuple(dict.fromkeys([*drawn, *fingers_links, *layers.palm.values()]))
    meshes, all_pieces, starts = {}, [], {}
    known: dict[tuple[bytes, bytes], tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
    begun = 0
    for name in drawn:
        of = pieces[name]
        offsets = np.cumsum([0, *(len(piece.vertices) for piece in of)])
        vertices = np.concatenate([piece.vertices for piece in of])
        faces = np.concatenate([p.faces + o for p, o in zip(of, offsets, strict=False)])
        kept = np.flatnonzero(sound_faces(vertices, faces))
        if outer is not None and len(kept):
            key = vertices.tobytes(), faces[kept].tobytes()
            if key not in known:
                known[key] = _outside(vertices, faces, kept, outer)
            faces, kept = known[key]
        meshes[name] = vertices, faces, kept
        starts[name] = begun
        begun += len(faces)
        all_pieces += of
    budgets = budgets_of(meshes, most)
    parts, origins = [], []
    points, corners, of_link, count = [], [], [], 0
    kept_links = []
    for n, name in enumerate(drawn):
        vertices, faces, kept = meshes[name]
        chosen = faces[kept]
        if len(kept) > budgets[name]:
            chosen, kept = cluster(vertices, faces, kept, budgets[name])
        if not len(kept):
            continue
        kept_links.append(name)
        smooth, chosen = creased(vertices, chosen)
        points.append(smooth)
        meshes[name] = smooth, chosen, np.arange(len(chosen))
        corners.append(chosen + count)
        count += len(smooth)
        of_link.append(np.full(len(smooth), n, np.int32))
        origins.append(kept + starts[name])
        part = PARTS.index(layers.part[name]) + 1
        parts.append(np.full((len(kept), 2), [part, layers.side[name] == 'left'], np.int32))
    if not points:
        raise ValueError(f'the robot {robot.name!r} shows nothing: its meshes have no area')
    casters = casters_of({name: meshes[name] for name in kept_links})
    origin = np.concatenate(origins)
    texture, corner_uv, _ = bake(all_pieces, origin)
    finish = np.array([(p.gloss, p.metal) for p in all_pieces], np.float32)
    finish = np.repeat(finish, [len(p.faces) for p in all_pieces], 0)[origin]
    texture = np.maximum(texture, DARKEST)
    kinematics = Kinematics(robot, links)
    marks = np.concatenate(parts)
    moving = set().union(*(robot.movers(link) for link in drawn))
    vertices, vertex_link = np.concatenate(points), np.concatenate(of_link)
    rest = kinematics.poses(np.zeros(len(kinematics.joints)))
    moved = {joint.child for joint in robot.joints if joint.moves}
    fingers = finger_points(layers, moved, links, vertices, vertex_link, rest)
    return RobotModel(
        robot.name,
        kinematics,
        layers,
        robot.root,
        vertices.astype(np.float32),
        vertex_link,
        np.concatenate(corners).astype(np.int32),
        casters,
        np.ascontiguousarray(marks[:, 0]),
        marks[:, 1].astype(bool),
        corner_uv,
        texture,
        np.ascontiguousarray(finish[:, 0]),
        np.ascontiguousarray(finish[:, 1]),
        np.zeros(len(finish), bool),
        fingers,
        frozenset(moving),
        frozenset(joint.name for joint in robot.joints),
        {side: frozenset(robot.movers(palm)) for side, palm in layers.palm.items()},
    )
