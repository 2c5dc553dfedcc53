"""Headers of recorded messages."""

from manivideo_ros.messages.types import ROSBAGS


def header(stamp_ns: int, frame: str = 'world'):
    return ROSBAGS.header(stamp_ns, frame)
