"""`python -m robustness.soak.participants DOMAIN SECONDS`: creates and destroys participants.

Prints their number.
"""

from __future__ import annotations

import sys
import time

import rclpy
from std_msgs.msg import String

AT_ONCE, TOPICS = 8, 10


def main(domain: int, seconds: float) -> None:
    """Create and destroy participants with topics and services for some seconds."""
    made, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        contexts = []
        for _ in range(AT_ONCE):
            context = rclpy.Context()
            rclpy.init(context=context, domain_id=domain)
            node = rclpy.create_node(f'passer_by_{made}', context=context)
            for topic in range(TOPICS):
                node.create_publisher(String, f'noise_{topic}', 10)
                node.create_subscription(String, f'noise_{topic}', lambda _: None, 10)
            contexts.append((context, node))
            made += 1
        for context, node in contexts:
            node.destroy_node()
            rclpy.shutdown(context=context)
    print(made)


if __name__ == '__main__':
    main(int(sys.argv[1]), float(sys.argv[2]))
