"""Warns of endpoints that do not match ours, with their node, policy or type, and a fix.

DDS matches only compatible endpoints and does not report the others. It does not report either when
two endpoints match and no data passes between them: then the name of the other node, which is sent
as data, stays unknown.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.utilities import get_rmw_implementation_identifier

if TYPE_CHECKING:  # newer rclpy has it in rclpy.endpoint_info
    from rclpy.topic_endpoint_info import TopicEndpointInfo

PERIOD_S = 1.0
SILENT_S = 1.9  # after this time, a publisher without a node name is not just new
INFINITE_S = 1e9  # unspecified durations are 0, or the largest value
BUILT_IN = ('/rosout', '/parameter_events')
UNKNOWN = '_NODE_NAME_UNKNOWN_'  # of an endpoint that is discovered before its node


class MismatchWatch:
    """Checks the other endpoints of a node's topics once a second; warns once of each mismatch.

    It runs on the steady clock, also while a simulation is paused.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._reported: set[str] = set()
        self._unheard = UnheardPublishers(node)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(PERIOD_S, self._check, clock=steady)

    def _check(self) -> None:
        found = {*mismatches(self._node), *self._unheard.problems(time.monotonic())}
        for text in sorted(found - self._reported):
            self._node.get_logger().warning(text)
        self._reported = found  # a problem that was fixed and returns is reported again


class UnheardPublishers:
    """Publishers that match a node's subscriptions but whose messages do not arrive."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._since: dict[tuple[str, bytes], float] = {}
        self._heard: set[str] = set()
        self._listened: set[str] = set()

    def problems(self, now_s: float) -> Iterator[str]:
        """One line for each topic without messages; now in seconds on a monotonic clock."""
        nameless: dict[tuple[str, bytes], Subscription] = {}
        for mine in self._node.subscriptions:
            topic = mine.topic_name
            if topic in BUILT_IN or topic in self._heard:
                continue
            for other in self._node.get_publishers_info_by_topic(topic):
                if other.node_name == UNKNOWN and other.topic_type == type_name(mine.msg_type):
                    nameless[topic, bytes(other.endpoint_gid)] = mine
        self._since = {key: self._since.get(key, now_s) for key in nameless}
        for (topic, _), mine in nameless.items():
            if topic not in self._listened:
                self._listened.add(topic)
                self._listen(topic, mine)
        silent = {topic for (topic, _), since in self._since.items() if now_s - since >= SILENT_S}
        for topic in sorted(silent - self._heard):
            yield (
                f'{topic}: a publisher is matched but its messages do not arrive: it runs as '
                f'another user, in another container or behind a firewall; {_other_transport()}'
            )

    def _listen(self, topic: str, mine: Subscription) -> None:
        """Record that a subscription receives a message, before its callback takes it."""
        take = mine.callback

        def note(*message: Any) -> Any:
            self._heard.add(topic)
            mine.callback = take
            return take(*message)

        note.__signature__ = inspect.signature(take)  # type: ignore[attr-defined]
        mine.callback = note


def _other_transport() -> str:
    if get_rmw_implementation_identifier().startswith('rmw_fastrtps'):
        return 'set FASTDDS_BUILTIN_TRANSPORTS=UDPv4 for both'
    return 'run both as one user, share /dev/shm between them, and allow UDP'


def mismatches(node: Node) -> Iterator[str]:
    """One line for each endpoint of another node that does not match one of this node's."""
    for mine in node.subscriptions:
        topic, kind = mine.topic_name, type_name(mine.msg_type)
        for other in _others(topic, node.get_publishers_info_by_topic):
            if other.topic_type != kind:
                yield (
                    f'{topic}: {_name(other)} publishes {other.topic_type}, {kind} is expected: '
                    'its messages are not received; remap one of them'
                )
                continue
            for policy, offered, asked in incompatible(other.qos_profile, mine.qos_profile):
                yield (
                    f'{topic}: {_name(other)} offers {policy} {offered}, {asked} is required: '
                    f'its messages are not received; publish with {policy} {asked}'
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
                    f'{topic}: {_name(other)} requests {policy} {asked}, {offered} is offered: '
                    f'it receives nothing; subscribe with {policy} {offered}'
                )


def incompatible(offered: QoSProfile, asked: QoSProfile) -> list[tuple[str, str, str]]:
    """The policies that do not match: name, offered value, requested value.

    DDS 1.4, 2.2.3: the offered value must be at least as strong as the requested one.
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
    durations = {
        'deadline': (offered.deadline, asked.deadline),
        'liveliness lease': (
            offered.liveliness_lease_duration,
            asked.liveliness_lease_duration,
        ),
    }
    for policy, (longest, wanted) in durations.items():
        if _seconds(longest.nanoseconds) > _seconds(wanted.nanoseconds):
            out.append((policy, _shown(longest.nanoseconds), _shown(wanted.nanoseconds)))
    return out


def _seconds(nanoseconds: int) -> float:
    return min(nanoseconds * 1e-9, INFINITE_S) if nanoseconds > 0 else INFINITE_S


def _shown(nanoseconds: int) -> str:
    seconds = _seconds(nanoseconds)
    return f'{seconds:g} s' if seconds < INFINITE_S else 'none'


def type_name(kind: type) -> str:
    """The name of a message type in the graph, such as 'std_msgs/msg/String'."""
    return f'{kind.__module__.split(".")[0]}/msg/{kind.__name__}'


def _name(info: TopicEndpointInfo) -> str:
    return f'node {info.node_namespace.rstrip("/")}/{info.node_name}'


def _others(topic: str, ask: Callable[[str], list[TopicEndpointInfo]]) -> list[TopicEndpointInfo]:
    """The endpoints of other nodes that are known by name, except on rclpy's own topics."""
    return [] if topic in BUILT_IN else [i for i in ask(topic) if i.node_name != UNKNOWN]
