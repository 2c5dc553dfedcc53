"""Reads URDFs, with yourdfpy."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import Any
from xml.etree import ElementTree

import numpy as np

from manivideo_ros.files.errors import reason_of
from manivideo_ros.files.xml_text import decode_xml, undeclared
from manivideo_ros.robot.description import Array, Joint, Link, RobotDescription, Shape
from manivideo_ros.robot.mimics import MOVING, mimics

FIXED = ('fixed', 'floating', 'planar')
MOST_LINKS = 2000


def read_urdf(urdf: str | bytes) -> RobotDescription:
    """The robot of a URDF: its text, or its bytes in the encoding that they declare.

    Raises ValueError, one line, for an unreadable URDF, or if yourdfpy is not installed.
    """
    try:
        import yourdfpy
    except ImportError:
        raise ValueError('URDFs need yourdfpy: pip install yourdfpy') from None
    # Parsed here first: yourdfpy recovers from broken XML, and its parser resolves entities.
    try:
        text = decode_xml(urdf) if isinstance(urdf, bytes) else undeclared(urdf)
        if '<!' in text.replace('<!--', '').replace('<![CDATA[', ''):
            raise ValueError('declarations of types and entities are not read')
        root = ElementTree.fromstring(text)
        if root.tag != 'robot':
            raise ValueError(f'its root is {root.tag!r}, not robot')
        if any('xacro' in str(element.tag) for element in root.iter()):
            raise ValueError('it is xacro: expand it with `xacro FILE > robot.urdf`')
        follows = mimics(root)
        # yourdfpy knows no capsule.
        capsules = _capsules(root)
        parsed = yourdfpy.URDF.load(
            BytesIO(ElementTree.tostring(root, 'utf-8')),
            build_scene_graph=False,
            load_meshes=False,
            build_collision_scene_graph=False,
            load_collision_meshes=False,
        ).robot
        links = _links(parsed, capsules)
        base, joints, problems = _tree([*links], [_joint(joint) for joint in parsed.joints])
    except Exception as error:  # yourdfpy raises many types
        raise ValueError(f'no URDF that can be read: {reason_of(error)}') from None
    return RobotDescription(str(parsed.name), base, links, tuple(joints), follows, tuple(problems))


def _tree(links: list[str], joints: list[Joint]) -> tuple[str, list[Joint], list[str]]:
    """Root, joints with parents before children, and problems. Raises ValueError if no tree."""
    above: dict[str, Joint] = {}
    below: dict[str, list[Joint]] = {}
    for joint in joints:
        for end in (joint.parent, joint.child):
            if end not in links:
                raise ValueError(f'joint {joint.name!r} has the link {end!r}, which is none')
        if joint.child in above:
            raise ValueError(
                f'link {joint.child!r} has two joints above it: {above[joint.child].name!r} and '
                f'{joint.name!r}'
            )
        above[joint.child] = joint
        below.setdefault(joint.parent, []).append(joint)
    roots = [link for link in links if link not in above]
    if len(roots) != 1:
        found = ', '.join(repr(link) for link in roots[:3]) or 'none'
        raise ValueError(f'it must have one root link, has {found}')
    problems, order, waiting = [], [], [roots[0]]
    while waiting:
        for joint in below.get(waiting.pop(), []):
            order.append(joint)
            waiting.append(joint.child)
    if len(order) < len(joints):
        lost = next(j for j in joints if all(j is not o for o in order))
        raise ValueError(f'link {lost.child!r} is its own ancestor')
    first, *others = roots[0], *[joint for joint in order if joint.kind in FIXED[1:]]
    for joint in others:
        if joint.parent != first:
            problems.append(f'joint {joint.name!r} is {joint.kind}: it stays at its origin')
    return first, order, problems


def _links(parsed: Any, capsules: set[tuple[str, int]]) -> dict[str, Link]:
    if len(parsed.links) > MOST_LINKS:
        raise ValueError(f'it has {len(parsed.links)} links, at most {MOST_LINKS} are read')
    named: dict[str, Any] = {}
    shapes = [visual.material for link in parsed.links for visual in link.visuals]
    for material in [*shapes, *parsed.materials]:
        if material is not None and (material.color is not None or material.texture is not None):
            named[str(material.name)] = material
    links = {}
    for link in parsed.links:
        if link.name in links:
            raise ValueError(f'two links are named {link.name!r}')
        visuals = [
            _shape(v, link.name, named, (link.name, n) in capsules)
            for n, v in enumerate(link.visuals)
        ]
        collisions = [_shape(c, link.name, {}, False) for c in link.collisions]
        links[link.name] = Link(link.name, _given(visuals), _given(collisions))
    return links


def _given(shapes: Iterable[Shape | None]) -> tuple[Shape, ...]:
    return tuple(shape for shape in shapes if shape is not None)


def _shape(element: Any, link: str, named: dict[str, Any], capsule: bool) -> Shape | None:
    geometry = element.geometry
    if geometry is None:
        return None
    file = ''
    if geometry.mesh is not None:
        scale = 1.0 if geometry.mesh.scale is None else geometry.mesh.scale
        kind, file = 'mesh', str(geometry.mesh.filename)
        size = tuple(np.broadcast_to(np.asarray(scale, np.float64), 3).tolist())
    elif geometry.box is not None:
        kind, size = 'box', tuple(np.asarray(geometry.box.size, np.float64).reshape(3).tolist())
    elif geometry.cylinder is not None:
        kind = 'capsule' if capsule else 'cylinder'
        size = float(geometry.cylinder.radius), float(geometry.cylinder.length)
    elif geometry.sphere is not None:
        kind, size = 'sphere', (float(geometry.sphere.radius),)
    else:
        return None
    if not np.isfinite(size).all() or (kind != 'mesh' and min(size) <= 0):
        raise ValueError(f'link {link!r}: a {kind} has the size {size}')
    origin = np.eye(4) if element.origin is None else _finite(element.origin, f'link {link!r}')
    material = getattr(element, 'material', None)
    name = '' if material is None else str(material.name)
    if material is not None and material.color is None and material.texture is None:
        material = named.get(name)
    colour, image = None, ''
    if material is not None and material.color is not None:
        rgba = np.asarray(material.color.rgba, np.float64).reshape(-1)[:3]
        colour = tuple(np.clip(np.nan_to_num(rgba, nan=0.5), 0, 1).tolist())
    if material is not None and material.texture is not None:
        image = str(material.texture.filename or '')
    return Shape(kind, size, origin, file, colour, image, name)


def _joint(joint: Any) -> Joint:
    name, kind = str(joint.name), str(joint.type)
    if kind not in MOVING + FIXED:
        raise ValueError(f'joint {name!r} has the type {kind!r}')
    origin = np.eye(4) if joint.origin is None else _finite(joint.origin, f'joint {name!r}')
    axis = np.array([1.0, 0, 0] if joint.axis is None else joint.axis, np.float64).reshape(-1)
    length = float(np.linalg.norm(axis))
    if kind in MOVING and not (len(axis) == 3 and np.isfinite(length) and length > 0):
        raise ValueError(f'joint {name!r} has the axis {axis.tolist()}')
    limits, limit = None, joint.limit
    if kind != 'continuous' and limit is not None:
        least, most = (0.0 if v is None else float(v) for v in (limit.lower, limit.upper))
        if np.isfinite([least, most]).all() and least < most:
            limits = least, most
    axis = axis / length if length else axis
    return Joint(name, kind, str(joint.parent), str(joint.child), origin, axis, limits)


def _finite(matrix: Any, name: str) -> Array:
    found = np.asarray(matrix, np.float64).reshape(4, 4)
    if not np.isfinite(found).all():
        raise ValueError(f'{name}: its origin is not finite')
    return found


def _capsules(root: ElementTree.Element) -> set[tuple[str, int]]:
    """Make capsules cylinders; returns the capsules among the visuals, by link and number."""
    found = set()
    for link in root.findall('link'):
        for kind in ('visual', 'collision'):
            for n, element in enumerate(link.findall(kind)):
                for capsule in element.findall('geometry/capsule'):
                    capsule.tag = 'cylinder'
                    if kind == 'visual':
                        found.add((str(link.get('name')), n))
    return found
