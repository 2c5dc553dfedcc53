"""The QoS of every topic: images reliable, poses best-effort, newest first."""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

# Publishers offer reliable: subscriptions of either kind then match.
IMAGES = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
POSES_OUT = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
# Best-effort subscriptions match every publisher and never make one wait.
PACE_IN = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
# Hands may come one by one: the second message of a stamp must not push out the first.
HANDS_IN = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)
POSES_IN = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
# What is told once must not be lost, where the publisher offers that much.
CHANGES_IN = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
STATE = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
DIAGNOSTICS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)


def recording(publishers: list[QoSProfile]) -> QoSProfile:
    """What a recorder asks for: the most that all of a topic's publishers offer."""
    reliable = all(p.reliability == ReliabilityPolicy.RELIABLE for p in publishers)
    latched = all(p.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in publishers)
    return QoSProfile(
        depth=100,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
