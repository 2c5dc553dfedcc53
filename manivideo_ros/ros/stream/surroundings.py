"""What a frame has around hands and objects: background, scene depth, support plane, region."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from manivideo_ros.camera.crop import Crop
from manivideo_ros.camera.live_background import LiveBackground, SceneShot
from manivideo_ros.camera.region import ActionRegion
from manivideo_ros.camera.support import checked_plane, plane_moved, plane_of, plane_problem
from manivideo_ros.geometry import Array, invert_rigid
from manivideo_ros.messages.images import depth_image
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.motion.transforms import TransformTree
from manivideo_ros.ros import qos
from manivideo_ros.ros.parameters import NodeParameters
from manivideo_ros.ros.stream.camera_images import image_reader
from manivideo_ros.ros.stream.pose_intake import View
from manivideo_ros.ros.stream.scene import LiveScene
from manivideo_ros.synthesizer import Synthesizer

IMAGE, DEPTH = 'background_image', 'background_depth'
UNSUPPORTED = 'not used: this network has no base image; use a patch model, such as tiny'


@dataclass(frozen=True, eq=False)
class FrameSurroundings:
    """The arguments of Synthesizer.step besides camera and snapshot."""

    shot: SceneShot | None
    plane: Array | None
    crop: Crop | None


NOTHING = FrameSurroundings(None, None, None)


class SurroundingsIntake:
    """Subscribes to the live background where parameters ask for it.

    warn: called with the topic and the problems of a message, one line each.
    """

    def __init__(
        self,
        node: Node,
        parameters: NodeParameters,
        transforms: TransformTree,
        warn: Callable[[str, list[str]], None],
    ) -> None:
        self._node, self._warn, self._transforms = node, warn, transforms
        self._lock = threading.Lock()
        self._live: LiveBackground | None = None
        self._region: ActionRegion | None = None
        self._frame = ''
        self._placed: tuple[Array, Array] | None = None
        self._inputs = []
        self.set_parameters(parameters)
        if not parameters.live_background:
            return
        self._live = LiveBackground(parameters.background_ahead_s)
        read, name = image_reader()
        node.get_logger().info(f'background_image: converted by {name}')
        inputs: tuple[tuple[type, str, Callable[[Any], NDArray], Any], ...] = (
            (Image, IMAGE, read, self._live.add_image),
            (CompressedImage, f'{IMAGE}/compressed', read, self._live.add_image),
            (Image, DEPTH, depth_image, self._live.add_depth),
        )
        self._inputs = [
            node.create_subscription(
                kind, topic, partial(self._receive, topic, convert, add), qos.NEWEST_IN
            )
            for kind, topic, convert, add in inputs
        ]

    def destroy(self) -> None:
        """Destroy the topics."""
        for subscription in self._inputs:
            self._node.destroy_subscription(subscription)

    def set_parameters(self, parameters: NodeParameters) -> None:
        """Apply the parameters that may change live."""
        self._parameters = parameters
        if self._live is not None:
            self._live.ahead_s = parameters.background_ahead_s

    def _receive(
        self,
        topic: str,
        convert: Callable[[Any], NDArray],
        add: Callable[[int, int, Any], None],
        message: Any,
    ) -> None:
        try:
            pixels = convert(message)
        except ValueError as error:
            self._warn(topic, [f'{error}; image dropped'])
            return
        with self._lock:
            self._frame = message.header.frame_id
            add(stamp_ns(message.header), time.monotonic_ns(), pixels)

    def around(
        self, view: View, given: tuple[int, int], scene: LiveScene
    ) -> tuple[FrameSurroundings, list[str]]:
        """What a frame has around its hands and objects, and the problems with it.

        given: width and height in CameraInfo.
        """
        if not scene.corrects:
            return NOTHING, [f'{name}: {UNSUPPORTED}' for name in self._asked()]
        camera = view.camera
        problems: list[str] = []
        shot = None
        if self._live is not None:
            size = camera.width, camera.height
            stamp, now = view.snapshot.stamp_ns, time.monotonic_ns()
            with self._lock:
                shot, problems = self._live.at(stamp, now, size, given, view.lens)
                frame = self._frame
            if frame and frame != view.camera_frame:
                problems.append(
                    f'{IMAGE}: header.frame_id: {frame!r} is not the camera of the view, '
                    f'{view.camera_frame!r}: shown as if it were'
                )
        plane, problem = self._plane(view, scene)
        if problem:
            problems.append(problem)
        return FrameSurroundings(shot, plane, self._crop(view, scene.synthesizer)), problems

    def _asked(self) -> list[str]:
        """The parameters that ask for something around hands and objects."""
        p = self._parameters
        asked = {
            'live_background': p.live_background,
            'support_plane': any(p.support_plane),
            'support_frame': bool(p.support_frame),
            'region': p.region != 'full',
        }
        return [name for name, wanted in asked.items() if wanted]

    def _plane(self, view: View, scene: LiveScene) -> tuple[Array | None, str]:
        p = self._parameters
        name = 'support_frame' if p.support_frame else 'support_plane'
        try:
            if p.support_frame:
                stamp = view.snapshot.stamp_ns
                plane = plane_of(self._transforms.lookup(view.world, p.support_frame, stamp))
            elif any(p.support_plane):
                plane = checked_plane(p.support_plane)
            elif scene.support is not None:
                plane, name = self._calibrated(scene.support, view), 'scene: support plane'
            else:
                return None, ''
        except (LookupError, ValueError) as error:
            return None, f'{name}: {error}: not used'
        problem = plane_problem(plane, view.camera)
        return (None, f'{name}: {problem}: not used') if problem else (plane, '')

    def _calibrated(self, support: Array, view: View) -> Array:
        """A scene folder's plane in the world, as the first camera that has it sees it."""
        if self._placed is None or self._placed[0] is not support:
            placed = plane_moved(support, invert_rigid(view.camera.camera_from_world))
            self._placed = support, placed
        return self._placed[1]

    def _crop(self, view: View, synthesizer: Synthesizer) -> Crop | None:
        if self._parameters.region != 'action':
            self._region = None
            return None
        grid = synthesizer.session.size
        if self._region is None or (self._region.columns, self._region.rows) != grid:
            self._region = ActionRegion(*grid)
        boxes = {
            name: (view.snapshot.objects[name], corners(mesh.vertices))
            for name, mesh in synthesizer.scene.objects.items()
            if name in view.snapshot.objects
        }
        shown = view.snapshot
        return self._region.crop(view.camera, shown.hands, boxes, shown.robots.values())


def corners(vertices: NDArray[np.floating]) -> NDArray[np.floating]:
    """The corners [8, 3] of the bounding box of vertices [V, 3]."""
    low, high = vertices.min(0), vertices.max(0)
    return np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1])
                     for z in (low[2], high[2])])  # fmt: skip
