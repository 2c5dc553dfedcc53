"""Resets of a simulated clock."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import JumpHandle, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node

# The smallest steps: rclpy does not accept zero.
_ANY = JumpThreshold(
    min_forward=Duration(nanoseconds=1),
    min_backward=Duration(nanoseconds=-1),
    on_clock_change=False,
)


def watch(node: Node, reset: Callable[[int, int], None]) -> JumpHandle:
    """Call `reset(before_ns, now_ns)` when the node's clock is set back, or starts (from 0).

    The thread that spins the node calls it, until the handle's `unregister`.
    """
    clock = node.get_clock()

    def jumped(jump: TimeJump) -> None:
        now = clock.now().nanoseconds
        before = now - jump.delta.nanoseconds
        if before == 0 or now < before:
            reset(before, now)

    return clock.create_jump_callback(_ANY, post_callback=jumped)
