"""What tests share: bag headers."""

from __future__ import annotations

from manivideo_ros.recording.messages.types import typestore


def header(stamp_ns: int, frame: str = 'world'):
    types = typestore().types
    time_ = types['builtin_interfaces/msg/Time'](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return types['std_msgs/msg/Header'](stamp=time_, frame_id=frame)
