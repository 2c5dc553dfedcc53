"""The video beside the stream: encoded while subscribed to, never waited for."""

import threading
import time
from types import SimpleNamespace

import pytest
from videos import PERIOD_NS, moving, psnr

from manivideo_ros.messages.names import PACKET
from manivideo_ros.messages.video import ImageReader, image_stamp_ns
from manivideo_ros.ros.message_types import RCLPY, message_class
from manivideo_ros.ros.stream import video_publisher
from manivideo_ros.ros.stream.video_publisher import VideoPublisher
from manivideo_ros.video.encoder import VideoEncoder
from manivideo_ros.video.packets import is_key


class Topic:
    """A publisher with a number of subscribers; keeps what is published."""

    def __init__(self):
        self.subscribers, self.got = 0, []

    def get_subscription_count(self):
        return self.subscribers

    def publish(self, message):
        self.got.append(message)


class Node:
    """A node whose topics and warnings are kept."""

    def __init__(self):
        self.topics, self.warnings = {}, []
        self.create_lifecycle_publisher = lambda kind, topic, _: self.topics.setdefault(
            topic, Topic()
        )
        self.destroy_lifecycle_publisher = lambda _: None
        log = SimpleNamespace(
            debug=lambda _: None, warning=lambda text, **_: self.warnings.append(text)
        )
        self.get_logger = lambda: log


@pytest.fixture
def node():
    return Node()


@pytest.fixture
def video(node):
    publisher = VideoPublisher(node)
    node.topic = node.topics['image_raw/foxglove']
    yield publisher
    publisher.destroy()


def send(video, topic, indices, size=(64, 48)):
    """Frames one by one, each after the last one was published."""
    for index in indices:
        before = len(topic.got)
        assert video.wanted
        video.put(RCLPY.header(index * PERIOD_NS, 'cam'), moving(index, *size))
        end = time.monotonic() + 10
        while len(topic.got) == before and time.monotonic() < end:
            time.sleep(0.001)
        assert len(topic.got) == before + 1


def test_packets_carry_the_stamps_of_their_frames(video, node):
    assert not video.wanted
    node.topic.subscribers = 1
    send(video, node.topic, range(4))
    reader = ImageReader()
    for index, message in enumerate(node.topic.got):
        assert image_stamp_ns(message) == index * PERIOD_NS and message.frame_id == 'cam'
        assert psnr(reader.read(message), moving(index)) > 31
    assert video.dropped == 0 and node.warnings == []


def test_a_new_subscriber_gets_a_key_frame(video, node):
    node.topic.subscribers = 1
    send(video, node.topic, range(3))
    node.topic.subscribers = 2
    send(video, node.topic, range(3, 6))
    node.topic.subscribers = 1
    send(video, node.topic, range(6, 8))
    assert [is_key(bytes(m.data)) for m in node.topic.got] == [n in (0, 3) for n in range(8)]


def test_a_video_that_nobody_saw_begins_again_with_a_key_frame(video, node):
    node.topic.subscribers = 1
    send(video, node.topic, range(2))
    node.topic.subscribers = 0
    assert not video.wanted
    node.topic.subscribers = 1
    send(video, node.topic, range(2, 4))
    assert [is_key(bytes(m.data)) for m in node.topic.got] == [True, False, True, False]


def test_a_slow_encoder_drops_frames_and_never_blocks(video, node, monkeypatch):
    free = threading.Event()

    class Slow(VideoEncoder):
        def encode(self, *arguments, **options):
            free.wait(10)
            return super().encode(*arguments, **options)

    monkeypatch.setattr(video_publisher, 'VideoEncoder', Slow)
    node.topic.subscribers = 1
    assert video.wanted
    image = moving(0)
    started = time.monotonic()
    for index in range(50):
        image[:] = moving(index)  # as the synthesizer reuses its images
        video.put(RCLPY.header(index * PERIOD_NS, 'cam'), image)
        time.sleep(0.002)
    assert time.monotonic() - started < 5, 'the encoder waits for longer'
    free.set()
    end = time.monotonic() + 10
    while len(node.topic.got) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    stamps = [image_stamp_ns(m) // PERIOD_NS for m in node.topic.got]
    assert len(stamps) == 2 and stamps[-1] == 49 and video.dropped == 48
    reader = ImageReader()
    for stamp, message in zip(stamps, node.topic.got, strict=True):
        assert psnr(reader.read(message), moving(stamp)) > 28, 'decodable without the dropped ones'


def test_an_encoder_that_fails_is_reported_and_begins_again(video, node, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError('no memory')

    node.topic.subscribers = 1
    with monkeypatch.context() as broken:
        broken.setattr(VideoEncoder, 'encode', fail)
        assert video.wanted
        video.put(RCLPY.header(0, 'cam'), moving(0))
        end = time.monotonic() + 10
        while not node.warnings and time.monotonic() < end:
            time.sleep(0.001)
    (warning,) = node.warnings
    assert warning.startswith('image_raw/foxglove')
    assert warning.endswith(': a frame was not encoded: RuntimeError: no memory')
    send(video, node.topic, [1])
    assert is_key(bytes(node.topic.got[0].data))


def test_an_odd_size_is_reported(video, node):
    node.topic.subscribers = 1
    send(video, node.topic, [0], (65, 48))
    (warning,) = node.warnings
    assert '65x48 is encoded as 66x48, its last row or column repeated' in warning


def test_ffmpeg_packets_are_published_where_their_package_is(node, monkeypatch):
    from manivideo_ros.messages.types import ROSBAGS

    monkeypatch.setattr(
        video_publisher,
        'message_class',
        lambda kind: object if kind == PACKET else message_class(kind),
    )
    builder = SimpleNamespace(video=RCLPY.video, packet=ROSBAGS.packet)
    monkeypatch.setattr(video_publisher, 'RCLPY', builder)
    video = VideoPublisher(node)
    topic = node.topics['image_raw/ffmpeg']
    topic.subscribers = 1
    send(video, topic, range(3))
    assert [(m.flags, m.pts, m.width) for m in topic.got] == [(1, 0, 64), (0, 1, 64), (0, 2, 64)]
    assert node.topics['image_raw/foxglove'].got == []
    video.destroy()


def test_types_that_are_not_installed_are_left_out(node, monkeypatch):
    def missing(kind):
        raise ValueError(f'{kind}: not installed')

    monkeypatch.setattr(video_publisher, 'message_class', missing)
    video = VideoPublisher(node)
    assert node.topics == {} and not video.wanted
    video.destroy()
