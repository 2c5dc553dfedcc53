"""What a LeRobot dataset of episodes with poses lacks to be augmented: meta/scenes.json.

For each episode in order, or null: the hand model and betas by side, mesh and scale of each object,
and the camera of the images by its key: intrinsics, size and world_from_camera, of each frame
where it moves. The frame of all poses is that of the state's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.geometry import Array, Camera, invert_rigid, matrix_to_quaternion
from manivideo_ros.motion.files import MotionError, camera_topics, load_motion

SCENES = Path('meta') / 'scenes.json'


def scene_of(reader: BagReader, images: str, stamps_ns: Array, key: str) -> dict[str, Any] | None:
    """The scene of an episode whose frames, on the topic `images`, have these stamps.

    key: of the camera in the dataset. None without poses.
    """
    infos = camera_topics(reader)
    beside = f'{images.rpartition("/")[0]}/camera_info'
    topic = beside if beside in infos else (infos[0] if len(infos) == 1 else None)
    try:
        motion = load_motion(reader, topic)
    except MotionError:
        return None
    scene: dict[str, Any] = {
        'hand_model': motion.hand_model,
        'betas': {side: track.betas.tolist() for side, track in motion.hands.items()},
        'objects': {
            name: {'mesh': mesh, 'scale': scale} for name, (mesh, scale) in motion.meshes.items()
        },
    }
    camera = motion.camera
    if camera is None:
        return scene
    placed = [camera]
    if motion.camera_track is not None:
        placed = [c for s in stamps_ns.tolist() if (c := motion.camera_at(s)) is not None]
    poses = [pose_of(each) for each in placed]
    k = np.asarray(camera.intrinsics, np.float64)
    scene['cameras'] = {
        key: {
            'intrinsics': [k[0, 0], k[1, 1], k[0, 2], k[1, 2]],
            'size': [camera.width, camera.height],
            'pose': poses[0] if len(poses) == 1 else poses,
        }
    }
    return scene


def pose_of(camera: Camera) -> list[float]:
    """world_from_camera as x y z (m) and a quaternion x y z w."""
    pose = invert_rigid(np.asarray(camera.camera_from_world, np.float64))
    return [*pose[:3, 3].tolist(), *np.asarray(matrix_to_quaternion(pose[:3, :3])).tolist()]
