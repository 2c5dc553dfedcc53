"""A page in the browser: live video, layers, latency, engine and the choice of objects."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from manivideo_ros.msg import FrameTimes, ObjectPoses, SceneObject
from manivideo_ros.objects.household.shapes import SHAPES
from manivideo_ros.recording.messages.maker import status_name
from manivideo_ros.ros import qos
from manivideo_ros.ros.conversion import RateLimit
from manivideo_ros.ros.images import to_array, to_jpeg
from manivideo_ros.ros.parameters import ViewerParameters, declare
from manivideo_ros.ros.spin import run
from manivideo_ros.srv import SetScene
from manivideo_ros.web.feed import STREAMS, Feed
from manivideo_ros.web.server import PageServer

LOOK_PERIOD_S = 0.2  # how soon a stream that a page asks for is subscribed to
ANSWER_S = 30.0  # within which set_scene answers: meshes are loaded and their views drawn
JPEG_QUALITY = 85  # of the layers
STAGES = ('received', 'sampled', 'rendered', 'denoised', 'published')


class Viewer(Node):
    """Hands topics to pages; subscribes to images only while a page shows them."""

    finished = False

    def __init__(self) -> None:
        super().__init__('viewer')
        self.parameters = declare(self, ViewerParameters)
        self._feed = Feed(SHAPES)
        self._warned = RateLimit()
        self._images: dict[str, Subscription] = {}
        sensor = qos_profile_sensor_data
        self.create_subscription(DiagnosticStatus, 'engine_status', self._take_engine, qos.STATE)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._take_reports, sensor)
        self.create_subscription(FrameTimes, 'frame_times', self._take_times, sensor)
        self.create_subscription(ObjectPoses, 'object_poses', self._take_objects, qos.PACE_IN)
        self._scene = self.create_client(SetScene, 'set_scene')
        self.create_timer(LOOK_PERIOD_S, self._follow_pages)
        self._server = PageServer(
            self._feed, self._choose, self.parameters.host, self.parameters.port
        )
        self.get_logger().info(f'look at {self._server.url}')
        if address := self._server.only_here:
            self.get_logger().warning(
                f'host: {self.parameters.host} is {address} on this machine: no other machine '
                'reaches the page. Give the address that the others use, or 0.0.0.0 for all'
            )

    def close(self) -> None:
        """Let go of the pages."""
        self._server.close()

    def _follow_pages(self) -> None:
        watched = self._feed.watched()
        for stream in watched - self._images.keys():
            kind = CompressedImage if stream == 'video' else Image
            take = partial(self._take_image, stream)
            self._images[stream] = self.create_subscription(
                kind, STREAMS[stream], take, qos.PACE_IN
            )
        for stream in self._images.keys() - watched:
            self.destroy_subscription(self._images.pop(stream))

    def _take_image(self, stream: str, message: CompressedImage | Image) -> None:
        try:
            self._feed.put_image(stream, jpeg_of(message))
        except ValueError as error:
            for problem in self._warned.due([f'{STREAMS[stream]}: {error}'], time.monotonic()):
                self.get_logger().warning(problem)

    def _take_engine(self, message: DiagnosticStatus) -> None:
        self._feed.tell('engine', *told(message))

    def _take_reports(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == status_name(self.get_namespace()):
                self._feed.tell('stream', *told(status))

    def _take_times(self, message: FrameTimes) -> None:
        self._feed.put_latencies(latencies(message))

    def _take_objects(self, message: ObjectPoses) -> None:
        self._feed.put_objects({item.object_id for item in message.objects if item.object_id})

    def _choose(self, objects: Mapping[str, str], seed: int) -> tuple[bool, str]:
        """Runs in the thread of a page's request, while the executor goes on."""
        if not self._scene.service_is_ready():
            return False, 'no synthesizer answers here yet'
        request = SetScene.Request(
            objects=[SceneObject(id=i, mesh=shape) for i, shape in objects.items()],
            keep_objects=True,
            appearance_seed=seed,
        )
        answered = threading.Event()
        future = self._scene.call_async(request)
        future.add_done_callback(_call(answered.set))
        if not answered.wait(ANSWER_S):
            self._scene.remove_pending_request(future)
            return False, f'the synthesizer did not answer within {ANSWER_S:g} s'
        response = future.result()
        return response.success, response.message


def jpeg_of(message: CompressedImage | Image) -> bytes:
    """An image as JPEG. Raises ValueError for one that is not, or cannot be."""
    if isinstance(message, CompressedImage):
        data = bytes(message.data)
        if not data.startswith(b'\xff\xd8'):
            raise ValueError(f'format {message.format!r} is not shown: JPEG is')
        return data
    pixels = to_array(message)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, -1)
    return bytes(to_jpeg(pixels, message.header, JPEG_QUALITY).data)


def told(status: DiagnosticStatus) -> tuple[int, str, dict[str, str]]:
    """Level, message and values of a diagnostic status."""
    level = int.from_bytes(status.level, 'little')
    return level, status.message, {v.key: v.value for v in status.values}


def latencies(times: FrameTimes) -> dict[str, float]:
    """How long after its poses' stamp (ms) each stage of a frame was done."""
    stamp = times.header.stamp
    return {
        name: 1e3 * (at.sec - stamp.sec) + 1e-6 * (at.nanosec - stamp.nanosec)
        for name in STAGES
        for at in (getattr(times, name),)
    }


def _call(done: Callable[[], Any]) -> Callable[[object], None]:
    return lambda _: done()


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop."""
    return run(Viewer, args)


if __name__ == '__main__':
    sys.exit(main())
