"""Serves a web page: live video, layers, latency, engine, choice of objects, recording."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from functools import partial

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.client import Client
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from manivideo_ros.bags.provenance import status_name
from manivideo_ros.messages.images import read_image
from manivideo_ros.msg import FrameTimes, ObjectPoses, SceneObject
from manivideo_ros.objects.household.shapes import SHAPES
from manivideo_ros.ros import qos
from manivideo_ros.ros.declare_parameters import declare
from manivideo_ros.ros.message_types import RCLPY
from manivideo_ros.ros.parameters import RecorderParameters, ViewerParameters
from manivideo_ros.ros.rate_limit import RateLimit
from manivideo_ros.ros.spin import run
from manivideo_ros.srv import SetScene
from manivideo_ros.web.beside import Beside
from manivideo_ros.web.feed import STREAMS, Feed
from manivideo_ros.web.recording import Recording
from manivideo_ros.web.server import PageServer

POLL_S = 0.2  # how often subscriptions follow what pages show
ANSWER_S = 30.0  # timeout of set_scene, which loads meshes and renders their views
JPEG_QUALITY = 85  # of the layers
VIDEO, BESIDE = 'video', 'beside'
TOPICS = {**STREAMS, BESIDE: f'{BESIDE}/{STREAMS[VIDEO]}'}
STAGES = ('received', 'sampled', 'rendered', 'denoised', 'published')


class Viewer(Node):
    """Serves topics to web pages; subscribes to images only while a page shows them."""

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
        self.create_subscription(ObjectPoses, 'object_poses', self._take_objects, qos.NEWEST_IN)
        # Of a video and of a second one on its right.
        self._scenes = [self.create_client(SetScene, 'set_scene')]
        self._beside: Beside | None = None
        if self.parameters.side_by_side:
            self._beside = Beside()
            self._scenes.append(self.create_client(SetScene, f'{BESIDE}/set_scene'))
        self.create_timer(POLL_S, self._follow_pages)
        topics = [self.resolve_topic_name(name) for name in RecorderParameters().topics]
        folder, domain = self.parameters.record_folder, self.context.get_domain_id()
        self._recording = Recording(folder, topics, self.get_namespace(), domain)
        host, port = self.parameters.host, self.parameters.port
        self._server = PageServer(self._feed, self._choose, host, port, self._recording)
        self.get_logger().info(f'serving {self._server.url}')
        if address := self._server.only_here:
            self.get_logger().warning(
                f'host: {host} is {address} on this machine: no other machine reaches the page; '
                'set the address that the others use, or 0.0.0.0 for all'
            )

    def close(self) -> None:
        """Close the pages and complete the recording."""
        self._recording.interrupt()
        self._server.close()
        self._recording.close()

    def _follow_pages(self) -> None:
        watched = self._feed.watched()
        if self._beside is not None and VIDEO in watched:
            watched.add(BESIDE)
        for stream in watched - self._images.keys():
            kind = CompressedImage if stream in (VIDEO, BESIDE) else Image
            take = partial(self._take_image, stream)
            self._images[stream] = self.create_subscription(
                kind, TOPICS[stream], take, qos.NEWEST_IN
            )
        for stream in self._images.keys() - watched:
            self.destroy_subscription(self._images.pop(stream))

    def _take_image(self, stream: str, message: CompressedImage | Image) -> None:
        try:
            jpeg = jpeg_of(message)
            if self._beside is not None and stream == BESIDE:
                self._beside.put_second(jpeg)
                return
            if self._beside is not None and stream == VIDEO:
                jpeg = self._beside.composed(jpeg)
            self._feed.put_image(stream, jpeg)
        except ValueError as error:
            for problem in self._warned.due([f'{TOPICS[stream]}: {error}'], time.monotonic()):
                self.get_logger().warning(problem)

    def _take_engine(self, message: DiagnosticStatus) -> None:
        self._feed.put_status('engine', *status_fields(message))

    def _take_reports(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == status_name(self.get_namespace()):
                self._feed.put_status('stream', *status_fields(status))

    def _take_times(self, message: FrameTimes) -> None:
        self._feed.put_latencies(latencies(message))

    def _take_objects(self, message: ObjectPoses) -> None:
        self._feed.put_objects({item.object_id for item in message.objects if item.object_id})

    async def _choose(self, objects: Mapping[str, str], seed: int) -> tuple[bool, str]:
        """Call set_scene of all synthesizers; runs in the server's event loop while the executor
        spins.
        """
        if not all(scene.service_is_ready() for scene in self._scenes):
            return False, 'set_scene is not available: start a synthesizer in this namespace'
        request = SetScene.Request(
            objects=[SceneObject(id=i, mesh=shape) for i, shape in objects.items()],
            keep_objects=True,
            noise_seed=seed,
        )
        answers = [await self._answer(scene, request) for scene in self._scenes]
        return next((answer for answer in answers if not answer[0]), answers[0])

    async def _answer(self, scene: Client, request: SetScene.Request) -> tuple[bool, str]:
        loop, answered = asyncio.get_running_loop(), asyncio.Event()
        future = scene.call_async(request)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(answered.set))
        try:
            await asyncio.wait_for(answered.wait(), ANSWER_S)
        except TimeoutError:
            scene.remove_pending_request(future)
            return False, f'set_scene did not answer within {ANSWER_S:g} s'
        response = future.result()
        return response.success, response.message


def jpeg_of(message: CompressedImage | Image) -> bytes:
    """The message's image as JPEG. Raises ValueError for an encoding that cannot be converted."""
    if isinstance(message, CompressedImage):
        data = bytes(message.data)
        if not data.startswith(b'\xff\xd8'):
            raise ValueError(f'format {message.format!r} is not supported: publish JPEG')
        return data
    pixels = read_image(message)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, -1)
    return bytes(RCLPY.jpeg(message.header, pixels, JPEG_QUALITY).data)


def status_fields(status: DiagnosticStatus) -> tuple[int, str, dict[str, str]]:
    """Level, message and values of a diagnostic status."""
    level = int.from_bytes(status.level, 'little')
    return level, status.message, {v.key: v.value for v in status.values}


def latencies(times: FrameTimes) -> dict[str, float]:
    """Time from the poses' stamp of a frame to the end of each stage, ms."""
    stamp = times.header.stamp
    return {
        name: 1e3 * (at.sec - stamp.sec) + 1e-6 * (at.nanosec - stamp.nanosec)
        for name in STAGES
        for at in (getattr(times, name),)
    }


def main(args: list[str] | None = None) -> int:
    """Run the node until a signal."""
    return run(Viewer, args)


if __name__ == '__main__':
    sys.exit(main())
