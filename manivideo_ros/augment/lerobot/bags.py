"""Episodes of a LeRobot dataset as bags, of which variations are made as of recordings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from manivideo_ros.bags.bag import BagWriter
from manivideo_ros.messages.names import CAMERA, HANDS, OBJECTS, STRING, TF
from manivideo_ros.messages.types import ROSBAGS, serialized
from manivideo_ros.motion.files import camera_transform
from manivideo_ros.motion.motion import Motion, scene_json


def namespaces_of(keys: Sequence[str]) -> dict[str, str]:
    """The namespace of each camera's topics, by its key: '' for one camera."""
    if len(keys) < 2:
        return dict.fromkeys(keys, '')
    names = [re.sub(r'\W', '_', key.removeprefix('observation.images.')) for key in keys]
    if len(set(names)) < len(names):
        names = [f'{name}_{n}' for n, name in enumerate(names)]
    return {key: f'/{name}' for key, name in zip(keys, names, strict=True)}


def write_episode(seen: Mapping[str, Motion], folder: Path) -> None:
    """Write a motion that the camera of each key sees as a bag. Raises BagError, OSError."""
    names, motion = namespaces_of([*seen]), next(iter(seen.values()))
    start = int(motion.stamps_ns[0])
    frames = {key: '_'.join([*name.strip('/').split('/'), 'camera']).lstrip('_')
              for key, name in names.items()}  # fmt: skip
    with BagWriter(folder) as bag:
        bag.add_topic('/scene', STRING, latched=True)
        bag.write(
            '/scene', serialized(ROSBAGS.message(STRING)(data=scene_json(motion.meshes))), start
        )
        bag.add_topic('/hand_poses', HANDS)
        bag.add_topic('/object_poses', OBJECTS)
        bag.add_topic('/tf_static', TF, latched=True)
        bag.add_topic('/tf', TF)
        for name in names.values():
            bag.add_topic(f'{name}/camera_info', CAMERA)
        for index, stamp in enumerate(motion.stamps_ns.tolist()):
            for key, each in seen.items():
                camera = each.camera_in(index)
                assert camera is not None
                moves = each.camera_track is not None
                if moves or index == 0:
                    placed = camera_transform(each, camera, frames[key], stamp)
                    bag.write('/tf' if moves else '/tf_static', serialized(placed), stamp)
                info = ROSBAGS.camera(ROSBAGS.header(stamp, frames[key]), camera)
                bag.write(f'{names[key]}/camera_info', serialized(info), stamp)
            sample, header = motion.frame(index), ROSBAGS.header(stamp, motion.frame_id)
            objects = ROSBAGS.objects(header, sample.objects)
            bag.write('/object_poses', serialized(objects), stamp)
            hands = ROSBAGS.hands(header, sample.hands, motion.hand_model)
            bag.write('/hand_poses', serialized(hands), stamp)
