"""Validates data other than recordings: shards, a copy of Objaverse, clips of people."""

from __future__ import annotations

import json
import struct
from collections import Counter
from pathlib import Path

import numpy as np

from manivideo_ros.data.findings import Findings
from manivideo_ros.data.human.clip import HumanClip
from manivideo_ros.data.objaverse.catalogue import LICENCES, VERSION, read_catalogue
from manivideo_ros.data.packing import array_file
from manivideo_ros.data.robots.stored import robot_file
from manivideo_ros.drawing.skeleton import seen

ARRAYS = (
    'rgb',
    'base',
    'mask',
    'background',
    'hand_reference',
    'hand_parts',
    'hands',
    'object_pose',
    'other_poses',
    'intrinsics',
    'camera_from_world',
)


PEOPLE_ARRAYS = ('skeletons', 'person_mask', 'plane')
"""Beside ARRAYS, of scenes of the kind 'person'."""


def is_shards(root: Path) -> bool:
    """Whether a folder holds shards."""
    return any(root.glob('shard_*'))


def is_objaverse(root: Path) -> bool:
    """Whether a folder is a copy of Objaverse."""
    return (root / VERSION).is_dir()


def human_clips(root: Path) -> list[Path]:
    """Folders of the clips of people in a folder."""
    return sorted(folder for folder in root.iterdir() if (folder / 'frames').is_dir())


def validate_shards(root: Path) -> Findings:
    """Validate shards: scene lists, lengths of arrays, objects of the scenes."""
    findings = Findings()
    kinds: Counter[str] = Counter()
    frames, sizes, models, named, robots = 0, set(), set(), set(), set()
    for shard in sorted(root.glob('shard_*')):
        if shard.suffix == '.partial':
            findings.problems.append(f'{shard}: incomplete: delete it')
            continue
        scenes = findings.attempt(_scenes, shard)
        if scenes is None:
            continue
        for scene in scenes:
            kinds[scene.get('kind', 'hand_object')] += 1
            models.add(scene.get('hand_model', 'default'))
            named |= {n for n in (scene.get('object', ''), *scene.get('others', [])) if n}
            robots |= set(scene.get('robots', {}).values())
        people = any(scene.get('kind') == 'person' for scene in scenes)
        names = (*ARRAYS, *(PEOPLE_ARRAYS if people else ()))
        arrays = {name: findings.attempt(_array, shard, name, len(scenes)) for name in names}
        hands, images = arrays['hands'], arrays['rgb']
        if hands is not None and images is not None:
            frames += hands.shape[0] * hands.shape[1]
            sizes.add('x'.join(map(str, images.shape[3:1:-1])))
    absent = sorted(n for n in named if not (root / 'objects' / f'{n}.npz').is_file())
    lines = [f'{root}/objects/{name}.npz: no such file: make the shards again' for name in absent]
    findings.report(lines, f'files of {root}/objects are missing')
    lost = sorted(n for n in robots if not robot_file(root, n).is_file())
    lines = [f'{robot_file(root, name)}: no such file: make the shards again' for name in lost]
    findings.report(lines, f'files of {root}/robots are missing')
    counts = ', '.join(f'{count} of {kind}' for kind, count in sorted(kinds.items()))
    findings.facts.append(f'scenes: {counts or "none"}; {frames} frames')
    findings.facts.append(f'images: {", ".join(sorted(sizes)) or "none"} pixels')
    findings.facts.append(f'objects: {len(named) - len(absent)} of {len(named)}')
    if robots:
        findings.facts.append(f'robots: {len(robots) - len(lost)} of {len(robots)}')
    findings.facts.append(f'hand models: {", ".join(sorted(models)) or "none"}')
    if len(sizes) > 1:
        findings.problems.append(f'{root}: images of several sizes: use one folder per size')
    return findings


def validate_objaverse(root: Path) -> Findings:
    """Validate Objaverse: objects on disk with an allowed licence, and whether they are whole."""
    findings = Findings()
    items = findings.attempt(read_catalogue, root)
    if items is None:
        return findings
    licences = Counter(item.licence for item in items)
    counts = ', '.join(f'{count} under {name}' for name, count in sorted(licences.items()))
    findings.facts.append(f'objects: {counts or "none with an allowed licence"}')
    findings.facts.append(f'in LVIS: {sum(bool(item.category) for item in items)}')
    broken = [item.path for item in items if not _whole_glb(item.path)]
    lines = [f'{path}: truncated or not glTF: fetch it again' for path in broken]
    findings.report(lines, f'objects of {root} are truncated')
    if not items:
        findings.problems.append(f'{root}: no object under {", ".join(LICENCES)}: fetch some')
    return findings


def validate_human(root: Path) -> Findings:
    """Validate clips of people: images, skeletons, and frames with visible hands."""
    findings = Findings()
    folders = human_clips(root)
    frames, hands = 0, 0
    for folder in folders:
        clip = findings.attempt(HumanClip, folder)
        if clip is None:
            continue
        frames += len(clip)
        shown = int(sum(seen(s[92:]).any() for s in clip.skeletons))
        hands += shown
        if not shown:
            findings.problems.append(f'{folder}: no frame shows a hand: leave the clip out')
    findings.facts.append(f'clips: {len(folders)}, {frames} frames, hands visible in {hands}')
    return findings


def _scenes(shard: Path) -> list[dict]:
    try:
        scenes = json.loads((shard / 'scenes.json').read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f'{shard}/scenes.json: cannot be read ({error}): delete it') from None
    if not isinstance(scenes, list) or not all(isinstance(scene, dict) for scene in scenes):
        raise ValueError(f'{shard}/scenes.json: must be a list of scenes: delete the shard')
    return scenes


def _array(shard: Path, name: str, scenes: int) -> np.ndarray:
    file = array_file(shard, name)
    try:
        array: np.ndarray = np.load(file, mmap_mode='r')
    except (OSError, ValueError) as error:
        raise ValueError(f'{file}: cannot be read ({error}): delete the shard') from None
    if len(array) != scenes:
        raise ValueError(f'{file}: has {len(array)} scenes, not {scenes}: delete the shard')
    return array


def _whole_glb(path: Path) -> bool:
    """Whether a binary glTF has the length stated in its header."""
    with path.open('rb') as file:
        header = file.read(12)
    if len(header) < 12:
        return False
    magic, _, length = struct.unpack('<4sII', header)
    return magic == b'glTF' and length == path.stat().st_size
