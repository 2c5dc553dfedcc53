"""The QoS of every topic: images reliable, poses best effort with short queues."""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

# Reliable publishers match subscriptions of either reliability.
IMAGES = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
# A lost packet spoils a video up to its next key frame, which comes within a second.
VIDEO = QoSProfile(depth=60, reliability=ReliabilityPolicy.RELIABLE)
POSES_OUT = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
# Best-effort subscriptions match every publisher and never block one.
NEWEST_IN = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
# Left and right may come in two messages: the second must not replace the first.
HANDS_IN = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)
POSES_IN = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
# For messages that are published once and must not be lost.
CHANGES_IN = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
STATE = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
DIAGNOSTICS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)


def recording(publishers: list[QoSProfile]) -> QoSProfile:
    """QoS of a recorder's subscription: the strongest that all publishers of a topic offer."""
    reliable = all(p.reliability == ReliabilityPolicy.RELIABLE for p in publishers)
    latched = all(p.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in publishers)
    return QoSProfile(
        depth=100,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
