"""A robot's URDF, from a file or the topic robot_description."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from std_msgs.msg import String

from manivideo_ros.files.xml_text import decode_xml
from manivideo_ros.process.folders import expanded
from manivideo_ros.ros import qos

TOPIC = 'robot_description'


def listen(node: Node, file: str, take: Callable[[str], list[str]]) -> None:
    """Call `take` with the text of the URDF; file: '' for that of the latched topic.

    Warns of the problems that `take` returns. Raises ValueError if it refuses the file.
    """
    if file:
        try:
            problems = take(decode_xml(expanded(file).read_bytes()))
        except (OSError, ValueError) as error:
            problems = [getattr(error, 'strerror', None) or str(error)]
        if problems:
            raise ValueError(f'urdf: {file}: {problems[0]}')
        return

    def callback(message: String) -> None:
        for problem in take(message.data):
            node.get_logger().warning(f'{TOPIC}: refused: {problem}')

    node.create_subscription(String, TOPIC, callback, qos.LATCHED)
