"""The checks of what is no recording: shards, a copy of Objaverse, clips of people."""

from __future__ import annotations

import json
import struct
from collections import Counter
from pathlib import Path

import numpy as np

from manivideo_ros.data.human.clip import HumanClip
from manivideo_ros.data.objaverse.catalogue import LICENCES, VERSION, read_catalogue
from manivideo_ros.data.packing import array_file
from manivideo_ros.data.recorded.survey import SHOWN, Survey
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


def is_shards(root: Path) -> bool:
    """Whether a folder holds shards."""
    return any(root.glob('shard_*'))


def is_objaverse(root: Path) -> bool:
    """Whether a folder is a copy of Objaverse."""
    return (root / VERSION).is_dir()


def human_clips(root: Path) -> list[Path]:
    """The clips of people in a folder."""
    return sorted(folder for folder in root.iterdir() if (folder / 'frames').is_dir())


def survey_shards(root: Path) -> Survey:
    """Shards: the lists, every array's length and shape, the objects that the scenes name."""
    survey = Survey()
    kinds: Counter[str] = Counter()
    frames, sizes, models, named = 0, set(), set(), set()
    for shard in sorted(root.glob('shard_*')):
        if shard.suffix == '.partial':
            survey.faults.append(f'{shard}: was never finished: delete it')
            continue
        scenes = survey.attempt(_scenes, shard)
        if scenes is None:
            continue
        for scene in scenes:
            kinds[scene.get('kind', 'hand_object')] += 1
            models.add(scene.get('hand_model', 'default'))
            named |= {n for n in (scene.get('object', ''), *scene.get('others', [])) if n}
        arrays = {name: survey.attempt(_array, shard, name, len(scenes)) for name in ARRAYS}
        hands, images = arrays['hands'], arrays['rgb']
        if hands is not None and images is not None:
            frames += hands.shape[0] * hands.shape[1]
            sizes.add('x'.join(map(str, images.shape[3:1:-1])))
    absent = sorted(n for n in named if not (root / 'objects' / f'{n}.npz').is_file())
    for name in absent[:SHOWN]:
        survey.faults.append(f'{root}/objects/{name}.npz: no such file: make the shards again')
    told = ', '.join(f'{count} of {kind}' for kind, count in sorted(kinds.items()))
    survey.facts.append(f'scenes: {told or "none"}; {frames} frames')
    survey.facts.append(f'images: {", ".join(sorted(sizes)) or "none"} pixels')
    survey.facts.append(f'objects: {len(named) - len(absent)} of {len(named)}')
    survey.facts.append(f'hand models: {", ".join(sorted(models)) or "none"}')
    if len(sizes) > 1:
        survey.faults.append(f'{root}: images of several sizes: keep each in a folder of its own')
    return survey


def survey_objaverse(root: Path) -> Survey:
    """Objaverse: what is on disk and may be used, and whether its files are whole."""
    survey = Survey()
    items = survey.attempt(read_catalogue, root)
    if items is None:
        return survey
    licences = Counter(item.licence for item in items)
    told = ', '.join(f'{count} under {name}' for name, count in sorted(licences.items()))
    survey.facts.append(f'objects: {told or "none that are free"}')
    survey.facts.append(f'in LVIS: {sum(bool(item.category) for item in items)}')
    broken = [item for item in items if not _whole_glb(item.path)]
    for item in broken[:SHOWN]:
        survey.faults.append(f'{item.path}: cut short or no glTF: fetch it again')
    if len(broken) > SHOWN:
        survey.faults.append(f'{root}: {len(broken) - SHOWN} more objects are cut short')
    if not items:
        survey.faults.append(f'{root}: no object under {", ".join(LICENCES)}: fetch some')
    return survey


def survey_human(root: Path) -> Survey:
    """Clips of people: images, skeletons, and in how many frames hands are seen."""
    survey = Survey()
    folders = human_clips(root)
    frames, hands = 0, 0
    for folder in folders:
        clip = survey.attempt(HumanClip, folder)
        if clip is None:
            continue
        frames += len(clip)
        shown = int(sum(seen(s[92:]).any() for s in clip.skeletons))
        hands += shown
        if not shown:
            survey.faults.append(f'{folder}: no hand is seen in any frame: leave the clip out')
    survey.facts.append(f'clips: {len(folders)}, {frames} frames, hands seen in {hands}')
    return survey


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
        raise ValueError(f'{file}: of {len(array)} scenes, not {scenes}: delete the shard')
    return array


def _whole_glb(path: Path) -> bool:
    """Whether a binary glTF has the length that its header states."""
    with path.open('rb') as file:
        header = file.read(12)
    if len(header) < 12:
        return False
    magic, _, length = struct.unpack('<4sII', header)
    return magic == b'glTF' and length == path.stat().st_size
