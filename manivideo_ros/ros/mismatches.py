"""Tells of endpoints that cannot meet ours: who, which policy or type, what comes of it, the mend.

DDS matches only what is compatible and is silent about the rest, the loudest complaint of ROS 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy

if TYPE_CHECKING:  # newer rclpy has it in rclpy.endpoint_info
    from rclpy.topic_endpoint_info import TopicEndpointInfo

PERIOD_S = 1.0
FOR_EVER = 1e9  # seconds: unspecified spans are 0, or the largest that there is
BUILT_IN = ('/rosout', '/parameter_events')
UNKNOWN = '_NODE_NAME_UNKNOWN_'  # the graph tells an endpoint before its node


class MismatchWatch:
    """Looks once a second at who else is on a node's topics; warns once of each that cannot meet.

    By the steady clock: a simulation that stands still is no reason to be silent.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._told: set[str] = set()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(PERIOD_S, self._look, clock=steady)

    def _look(self) -> None:
        found = set(mismatches(self._node))
        for text in sorted(found - self._told):
            self._node.get_logger().warning(text)
        self._told = found  # who mends it and breaks it again is told again


def mismatches(node: Node) -> Iterator[str]:
    """One line for each endpoint of another node that cannot meet one of this node's."""
    for mine in node.subscriptions:
        topic, kind = mine.topic_name, type_name(mine.msg_type)
        for other in _others(topic, node.get_publishers_info_by_topic):
            if other.topic_type != kind:
                yield (
                    f'{topic}: {_name(other)} publishes {other.topic_type}, {kind} is expected: '
                    'nothing of it is received; remap one of them'
                )
                continue
            for policy, offered, asked in incompatible(other.qos_profile, mine.qos_profile):
                yield (
                    f'{topic}: {_name(other)} offers {policy} {offered}, {asked} is needed: '
                    f'nothing of it is received; publish it with {policy} {asked}'
                )
    for ours in node.publishers:
        topic, kind = ours.topic_name, type_name(ours.msg_type)
        for other in _others(topic, node.get_subscriptions_info_by_topic):
            if other.topic_type != kind:
                yield (
                    f'{topic}: {_name(other)} expects {other.topic_type}, {kind} is published: '
                    'it receives nothing; remap one of them'
                )
                continue
            for policy, offered, asked in incompatible(ours.qos_profile, other.qos_profile):
                yield (
                    f'{topic}: {_name(other)} asks for {policy} {asked}, {offered} is offered: '
                    f'it receives nothing; subscribe with {policy} {offered}'
                )


def incompatible(offered: QoSProfile, asked: QoSProfile) -> list[tuple[str, str, str]]:
    """The policies (name, what is offered, what is asked for) by which the two do not match.

    DDS 1.4, 2.2.3: an offer must be as strong as what is asked for.
    """
    out: list[tuple[str, str, str]] = []
    if (
        offered.reliability == ReliabilityPolicy.BEST_EFFORT
        and asked.reliability == ReliabilityPolicy.RELIABLE
    ):
        out.append(('reliability', 'best_effort', 'reliable'))
    if (
        offered.durability == DurabilityPolicy.VOLATILE
        and asked.durability == DurabilityPolicy.TRANSIENT_LOCAL
    ):
        out.append(('durability', 'volatile', 'transient_local'))
    if (
        offered.liveliness != LivelinessPolicy.MANUAL_BY_TOPIC
        and asked.liveliness == LivelinessPolicy.MANUAL_BY_TOPIC
    ):
        out.append(('liveliness', 'automatic', 'manual_by_topic'))
    spans = {
        'deadline': (offered.deadline, asked.deadline),
        'liveliness lease': (
            offered.liveliness_lease_duration,
            asked.liveliness_lease_duration,
        ),
    }
    for policy, (longest, wanted) in spans.items():
        if _seconds(longest.nanoseconds) > _seconds(wanted.nanoseconds):
            out.append((policy, _told(longest.nanoseconds), _told(wanted.nanoseconds)))
    return out


def _seconds(nanoseconds: int) -> float:
    return min(nanoseconds * 1e-9, FOR_EVER) if nanoseconds > 0 else FOR_EVER


def _told(nanoseconds: int) -> str:
    seconds = _seconds(nanoseconds)
    return f'{seconds:g} s' if seconds < FOR_EVER else 'none'


def type_name(kind: type) -> str:
    """The name of a message type as the graph has it, as 'std_msgs/msg/String'."""
    return f'{kind.__module__.split(".")[0]}/msg/{kind.__name__}'


def _name(info: TopicEndpointInfo) -> str:
    return f'node {info.node_namespace.rstrip("/")}/{info.node_name}'


def _others(topic: str, ask: Callable[[str], list[TopicEndpointInfo]]) -> list[TopicEndpointInfo]:
    """Those worth telling of: with a name, and not of topics that are rclpy's own."""
    return [] if topic in BUILT_IN else [i for i in ask(topic) if i.node_name != UNKNOWN]
