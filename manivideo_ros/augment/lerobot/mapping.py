"""Which features of a LeRobot dataset are hands, objects and cameras: a YAML file.

    hands:
      right: {keypoints: observation.hand}            # 21 points [63], MediaPipe's order
      left:                                           # or MANO's parameters
        theta: observation.state[7:52]                # 45, axis-angle relative to the flat hand
        position: observation.state[0:3]              # of the wrist joint, m
        rotation: observation.state[3:7]              # quaternion x y z w, or axis-angle
        betas: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    objects:
      mug: {mesh: mug, scale: 1.0, pose: observation.mug}   # x y z, quaternion x y z w
    cameras:
      observation.images.front:
        intrinsics: [fx, fy, cx, cy]                  # of images of the feature's size
        pose: [x, y, z, qx, qy, qz, qw]               # world_from_camera; or a feature of it

All poses are in one frame, in metres. `present: FEATURE` of a hand or object is 0 in frames without
it; `unit` and `axes` of keypoints are those of inputs/world.py. `stamps: FEATURE` are times in ns,
in place of `timestamp`. Instead of hands and objects a bag of each episode may have the poses:
`bags: PATH/{episode_index:03d}`, `hands_from` as for `--hands`, and of each camera its `topic`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from manivideo_ros.files.bounded_yaml import load_yaml
from manivideo_ros.files.errors import reason_of
from manivideo_ros.hand.state import SIDES
from manivideo_ros.inputs.world import AXES

SLICE = re.compile(r'(.+?)(?:\[(\d+):(\d+)\])?')
KEYS = {'hands', 'objects', 'cameras', 'stamps', 'hand_model', 'bags', 'hands_from'}
POSES = 'x y z and a quaternion x y z w'


class MappingError(ValueError):
    """A mapping that cannot be used; one line that names the entry."""


@dataclass(frozen=True)
class Columns:
    """Numbers of a feature, from `start` up to `stop` (None: all)."""

    feature: str
    start: int = 0
    stop: int | None = None


@dataclass(frozen=True)
class Hand:
    """The features of a hand: keypoints, or theta, position and rotation."""

    keypoints: Columns | None = None
    theta: Columns | None = None
    position: Columns | None = None
    rotation: Columns | None = None
    betas: tuple[float, ...] = (0.0,) * 10
    present: Columns | None = None
    unit: float = 1.0
    axes: str = 'ros'


@dataclass(frozen=True)
class Object:
    """An object's mesh, metres per unit of it, and the feature of its pose."""

    mesh: str
    scale: float
    pose: Columns
    present: Columns | None = None


@dataclass(frozen=True)
class View:
    """A camera: fx fy cx cy, and world_from_camera: fixed [1, 7], of each frame [F, 7], a feature.

    size: width and height of images with these intrinsics, () for the feature's own; topic: of its
    CameraInfo in a bag, which then has both.
    """

    intrinsics: tuple[float, ...] = ()
    pose: tuple[tuple[float, ...], ...] | Columns = ()
    size: tuple[float, ...] = ()
    topic: str = ''


@dataclass(frozen=True)
class PoseMapping:
    """What the features of an episode are; bags: the path of a bag that has the poses instead."""

    hands: dict[str, Hand] = field(default_factory=dict)
    objects: dict[str, Object] = field(default_factory=dict)
    cameras: dict[str, View] = field(default_factory=dict)
    stamps: str = ''
    hand_model: str = 'default'
    bags: str = ''
    hands_from: str = ''


def read_mapping(file: Path | None) -> dict[str, Any]:
    """The entries of a mapping's file, {} for None. Raises MappingError."""
    if file is None:
        return {}
    try:
        content = dict(load_yaml(file.read_text()) or {})
    except OSError as error:
        raise MappingError(f'{file}: cannot be read ({error.strerror})') from None
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise MappingError(f'{file}: is no mapping ({reason_of(error)})') from None
    unknown = content.keys() - KEYS
    if unknown:
        raise MappingError(
            f'{file}: {sorted(unknown)[0]}: no such entry; there are {", ".join(sorted(KEYS))}'
        )
    return content


def merged(own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of which those of `given` go first, entry by entry."""
    out = dict(own)
    for name, value in given.items():
        before = out.get(name)
        nested = isinstance(before, dict) and isinstance(value, dict)
        out[name] = merged(dict(before or {}), value) if nested else value
    return out


def own_entries(scene: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """The entries for an episode of `manivideo dataset lerobot`.

    scene: of meta/scenes.json, names: of the numbers of observation.state.
    """

    def columns(first: str, count: int) -> str:
        at = names.index(first)
        return f'observation.state[{at}:{at + count}]'

    hands = {
        side: {
            'present': columns(f'{side}.present', 1),
            'position': columns(f'{side}.x', 3),
            'rotation': columns(f'{side}.qx', 4),
            'theta': columns(f'{side}.index1.x', 45),
            **({'betas': scene['betas'][side]} if side in scene.get('betas', {}) else {}),
        }
        for side in SIDES
        if f'{side}.index1.x' in names
    }
    known = [n.removesuffix('.present') for n in names if n.endswith('.present')]
    objects = {
        name: {
            'present': columns(f'{name}.present', 1),
            'pose': columns(f'{name}.x', 7),
            **scene.get('objects', {}).get(name, {}),
        }
        for name in known
        if name not in hands
    }
    out: dict[str, Any] = {'hands': hands, 'objects': objects}
    out |= {key: scene[key] for key in ('hand_model', 'cameras') if key in scene}
    return out


def mapping_of(entries: Mapping[str, Any]) -> PoseMapping:
    """The mapping of entries. Raises MappingError naming the entry that is missing or wrong."""
    hands = {side: _hand(side, _dict(f'hands: {side}', hand))
             for side, hand in _dict('hands', entries.get('hands', {})).items()}  # fmt: skip
    objects = {
        str(name): _object(f'objects: {name}', _dict(f'objects: {name}', item))
        for name, item in _dict('objects', entries.get('objects', {})).items()
    }
    bags = str(entries.get('bags', ''))
    try:
        bags.format(episode_index=0)
    except (KeyError, IndexError, ValueError, AttributeError):
        raise MappingError(f'bags: {bags}: may have {{episode_index}} in braces only') from None
    cameras = {
        str(key): _view(f'cameras: {key}', _dict(f'cameras: {key}', item), bool(bags))
        for key, item in _dict('cameras', entries.get('cameras', {})).items()
    }
    if not (hands or objects or bags):
        raise MappingError('hands, objects: none: name the features that are them, or bags')
    if bags and (hands or objects):
        raise MappingError('bags: has the poses: leave hands and objects out')
    if not cameras:
        raise MappingError('cameras: none: name the keys whose images are to be generated')
    names = {n: str(entries.get(n, '')) for n in ('stamps', 'hands_from')}
    model = str(entries.get('hand_model', 'default'))
    return PoseMapping(hands, objects, cameras, hand_model=model, bags=bags, **names)


def _hand(side: str, entries: dict[str, Any]) -> Hand:
    name = f'hands: {side}'
    if side not in SIDES:
        raise MappingError(f'{name}: must be one of {", ".join(SIDES)}')
    known = {'keypoints', 'theta', 'position', 'rotation', 'present'}
    _no_others(name, entries, known | {'betas', 'unit', 'axes'})
    columns = {key: _columns(f'{name}: {key}', entries[key]) for key in known & entries.keys()}
    whole = {'theta', 'position', 'rotation'}
    if 'keypoints' in columns and whole & columns.keys():
        raise MappingError(f'{name}: keypoints, or theta, position and rotation, not both')
    if 'keypoints' not in columns and not whole <= columns.keys():
        lacking = sorted(whole - columns.keys())[0]
        raise MappingError(f'{name}: {lacking}: missing: keypoints, or theta, position, rotation')
    betas = _numbers(f'{name}: betas', entries.get('betas', [0.0] * 10), 10)
    (unit,) = _numbers(f'{name}: unit', [entries.get('unit', 1.0)], 1)
    axes = str(entries.get('axes', 'ros'))
    if axes not in AXES:
        raise MappingError(f'{name}: axes: {axes!r} is not one of {", ".join(AXES)}')
    return Hand(**columns, betas=betas, unit=unit, axes=axes)


def _object(name: str, entries: dict[str, Any]) -> Object:
    _no_others(name, entries, {'mesh', 'scale', 'pose', 'present'})
    for key in ('mesh', 'pose'):
        if key not in entries:
            raise MappingError(f'{name}: {key}: missing')
    present = entries.get('present')
    return Object(
        str(entries['mesh']),
        _numbers(f'{name}: scale', [entries.get('scale', 1.0)], 1)[0],
        _columns(f'{name}: pose', entries['pose']),
        None if present is None else _columns(f'{name}: present', present),
    )


def _view(name: str, entries: dict[str, Any], in_bag: bool) -> View:
    if in_bag:
        _no_others(name, entries, {'topic'})
        return View(topic=str(entries.get('topic', '')))
    _no_others(name, entries, {'intrinsics', 'pose', 'size'})
    for key in ('intrinsics', 'pose'):
        if key not in entries:
            raise MappingError(f'{name}: {key}: missing')
    intrinsics = _numbers(f'{name}: intrinsics', entries['intrinsics'], 4)
    size = _numbers(f'{name}: size', entries['size'], 2) if 'size' in entries else ()
    pose = entries['pose']
    if isinstance(pose, str):
        return View(intrinsics, _columns(f'{name}: pose', pose), size)
    rows = pose if isinstance(pose, list) and pose and isinstance(pose[0], list) else [pose]
    return View(intrinsics, tuple(_numbers(f'{name}: pose', row, 7) for row in rows), size)


def _columns(name: str, value: Any) -> Columns:
    found = SLICE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise MappingError(f'{name}: must be FEATURE or FEATURE[START:STOP], is {value!r}')
    feature, start, stop = found.groups()
    return Columns(feature) if start is None else Columns(feature, int(start), int(stop))


def _numbers(name: str, value: Any, count: int) -> tuple[float, ...]:
    try:
        numbers = tuple(float(v) for v in value)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count:
        raise MappingError(f'{name}: must be {count} numbers, is {value!r}')
    return numbers


def _dict(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MappingError(f'{name}: must be entries (name: value), is {value!r}')
    return value


def _no_others(name: str, entries: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(entries.keys() - known)
    if unknown:
        raise MappingError(
            f'{name}: {unknown[0]}: no such entry; there are {", ".join(sorted(known))}'
        )
