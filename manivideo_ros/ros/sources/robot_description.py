"""A robot's URDF, from a file or the topic robot_description."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import String

from manivideo_ros.files.xml_text import decode_xml
from manivideo_ros.process.folders import expanded
from manivideo_ros.ros import qos

TOPIC = 'robot_description'
WAIT_S = 10.0


def received(beside: Node) -> str:
    """The URDF of the latched topic, in the namespace of a node; waits for it.

    The node may be spinning: another one of the process subscribes. Raises ValueError if nothing
    is published.
    """
    found: list[str] = []
    node = Node(
        f'{beside.get_name()}_robot_description',
        context=beside.context,
        namespace=beside.get_namespace(),
        use_global_arguments=False,
        start_parameter_services=False,
        enable_rosout=False,
    )
    executor = SingleThreadedExecutor(context=beside.context)
    executor.add_node(node)
    try:
        topic = beside.resolve_topic_name(TOPIC)
        node.create_subscription(String, topic, lambda m: found.append(m.data), qos.LATCHED)
        end = time.monotonic() + WAIT_S
        while not found and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.1)
    finally:
        executor.shutdown()
        node.destroy_node()
    if not found:
        raise ValueError(
            f'robot: nothing is published on {topic}: start robot_state_publisher, or name a file'
        )
    return found[-1]


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
