"""The cameras of an episode: the names of their topics and frames, and the frames that they see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.augment.choices import Choices
from manivideo_ros.augment.references import background_seen
from manivideo_ros.camera.live_background import SceneShot
from manivideo_ros.drawing.labels import label
from manivideo_ros.geometry import Array
from manivideo_ros.messages.names import CAMERA, IMAGE, POINTS
from manivideo_ros.messages.types import ROSBAGS
from manivideo_ros.motion.files import camera_transform
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.pose_buffer import Snapshot
from manivideo_ros.synthesizer import Synthesizer

BACKGROUND = '/background'
FRAME_TOPICS = {
    '/camera_info': CAMERA,
    '/image_raw': IMAGE,
    '/mlo/mask': IMAGE,
    '/mlo/depth': IMAGE,
    '/hand_keypoints': POINTS,
}
"""Types of an episode's topics, which are in a camera's namespace if there are several cameras."""


def namespaces(cameras: Sequence[str]) -> list[str]:
    """The namespace of each camera's frames: '' for one camera.

    Of several it is what precedes `/camera_info` or `/camera/camera_info` in the name of its topic.
    Raises ValueError for two cameras of one namespace.
    """
    if len(cameras) < 2:
        return ['']
    found = [camera.removesuffix('/camera_info').removesuffix('/camera') for camera in cameras]
    for place, name in enumerate(found):
        if name in found[:place]:
            raise ValueError(
                f'--camera {cameras[found.index(name)]} and {cameras[place]}: their frames would '
                f'have one namespace, {name or "/"!r}: rename one of the topics, or name one only'
            )
    return found


@dataclass(frozen=True, eq=False)
class EpisodeCamera:
    """A camera of an episode, and what makes its frames.

    empty [H, W, 3]: the background of the first frame; follows: whether each frame has a background
    of its own, the generated room as the moving camera sees it; plane [4]: the support plane in the
    world, None where it is unknown.
    """

    namespace: str
    motion: Motion
    choices: Choices
    synthesizer: Synthesizer
    empty: NDArray[np.uint8]
    follows: bool
    plane: Array | None = None

    @property
    def frame_id(self) -> str:
        """A frame that recordings do not have, because their transforms are copied."""
        own = [name for name in self.namespace.split('/') if name]
        return '_'.join(['synthetic', *own, 'camera_optical'])

    @property
    def moves(self) -> bool:
        """Whether the camera moves."""
        return self.choices.camera_track is not None

    @property
    def topics(self) -> dict[str, str]:
        """Types of the topics of its frames, by name."""
        return {self.namespace + topic: kind for topic, kind in FRAME_TOPICS.items()}

    def begin(self) -> dict[str, Any]:
        """The messages before the first frame: what of the camera does not move."""
        stamp = int(self.motion.stamps_ns[0])
        out = {}
        if not self.moves:
            out['/tf_static'] = camera_transform(self.motion, self.choices.camera, self.frame_id)
        if not self.follows:
            header = ROSBAGS.header(stamp, self.frame_id)
            out[self.namespace + BACKGROUND] = ROSBAGS.image(header, self.empty)
        return out

    def frame(self, index: int) -> Mapping[str, Any]:
        """The messages of a frame by topic; frames are made in their order."""
        stamp, camera = int(self.motion.stamps_ns[index]), self.choices.camera_in(index)
        sample = self.motion.frame(index)
        out: dict[str, Any] = {}

        def header() -> Any:
            return ROSBAGS.header(stamp, self.frame_id)

        if self.moves:
            out['/tf'] = camera_transform(self.motion, camera, self.frame_id, stamp)
        shot = None
        if self.follows:
            background = background_seen(self.choices, camera)
            shot = SceneShot(background)
            out[self.namespace + BACKGROUND] = ROSBAGS.image(header(), background)
        robots = self.motion.robots_in(index)
        poses = Snapshot.of(stamp, sample.hands, sample.objects, robots)
        frame = self.synthesizer.step(camera, poses, shot, self.plane)
        layers = len(frame.layers.normal_map)
        hands, shown = self.synthesizer.hands, robots.values()
        labels = label(frame.foreground, frame.mask, layers, camera, hands, sample.hands, shown)
        made = {
            '/camera_info': ROSBAGS.camera(header(), camera),
            '/image_raw': ROSBAGS.image(header(), frame.image),
            '/mlo/mask': ROSBAGS.image(header(), labels.mask),
            '/mlo/depth': ROSBAGS.image(header(), labels.depth),
            '/hand_keypoints': ROSBAGS.points(header(), labels.keypoints),
        }
        return {**out, **{self.namespace + topic: message for topic, message in made.items()}}
