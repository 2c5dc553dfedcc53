"""A simulator's clock, whose time begins late and may be set back."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import JumpHandle, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node

# rclpy takes no zero: the smallest step that there is.
_ANY = JumpThreshold(
    min_forward=Duration(nanoseconds=1),
    min_backward=Duration(nanoseconds=-1),
    on_clock_change=False,
)


def watch(node: Node, jumped: Callable[[int, int], None]) -> JumpHandle:
    """Have `jumped(before_ns, now_ns)` called when the node's clock is set back, or begins (0).

    It is called by the thread that spins the node. The handle's `unregister` ends it.
    """
    clock = node.get_clock()

    def told(jump: TimeJump) -> None:
        now = clock.now().nanoseconds
        before = now - jump.delta.nanoseconds
        if before == 0 or now < before:
            jumped(before, now)

    return clock.create_jump_callback(_ANY, post_callback=told)
