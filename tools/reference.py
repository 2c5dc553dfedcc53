"""Writes the tables of docs/reference.md: python -m tools.reference

Topics, services and actions are those of the nodes, which are started one after the other; their
meanings are in tools/topics.yaml. Arguments are those of the parsers and the launch files.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
import yaml
from rclpy.action import ActionServer, get_action_server_names_and_types_by_node
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from manivideo_ros.process.node_processes import node_arguments
from manivideo_ros.ros.parameters import ALL, default_of, description_of, entries
from tools.command_lines import ROOT, arguments, manivideo_parsers, shown
from tools.command_lines import launch_arguments as declared_by

DOCUMENT = ROOT / 'docs' / 'reference.md'
NAMESPACE = 'namespace'
# Common to all nodes, or published only where another package is: described once in the text.
COMMON = re.compile(
    r'^(/rosout|/image_raw/ffmpeg|/parameter_events|/clock|.*/(describe|get|list|set)_parameter.*|.*/get_type_desc.*'
    r'|.*/(change_state|get_state|get_available_.*|get_transition_graph|transition_event))$'
)
IN, OUT, SERVICE, CLIENT, ACTION = 'in', 'out', 'service', 'client of', 'action'


@dataclass(frozen=True)
class Entity:
    """An entity of a node on the graph; name: relative to its namespace, or absolute."""

    node: str
    kind: str
    name: str
    type: str
    qos: str = ''


@contextmanager
def started(make: Callable[[], Any], parameters: Mapping[str, Any]) -> Iterator[Node]:
    """Start a node in this process, in a separate namespace."""
    rclpy.init(args=[*node_arguments(**parameters), '-r', f'__ns:=/{NAMESPACE}'])
    try:
        node = make()
        yield node
        node.close()
        node.destroy_node()
    finally:
        rclpy.try_shutdown()


def entities(node: Node, name: str) -> list[Entity]:
    """The node's own entities, inputs first."""
    found = [
        *(_topic(name, IN, s.topic_name, s.msg_type, s.qos_profile) for s in node.subscriptions),
        *(_topic(name, OUT, p.topic, p.msg_type, p.qos_profile) for p in node.publishers),
        *(_topic(name, SERVICE, s.srv_name, s.srv_type) for s in node.services),
        *(_topic(name, CLIENT, c.srv_name, c.srv_type) for c in node.clients),
    ]
    if any(isinstance(waitable, ActionServer) for waitable in node.waitables):
        for full, (kind,) in _actions(node):
            relative = full.removeprefix(f'/{NAMESPACE}/')
            found.append(Entity(name, ACTION, relative, kind.replace('/action/', '/')))
    return [entity for entity in found if not COMMON.match('/' + entity.name.lstrip('/'))]


def all_entities(checkpoint: str = '') -> list[Entity]:
    """The entities of every node, for all parameters that change them.

    checkpoint: weights of the synthesizer; '' for the shipped ones.
    """
    from manivideo_ros.nodes import (
        augmenter,
        hand_source,
        motion_player,
        object_source,
        recorder,
        synthesizer_node,
        viewer,
        virtual_camera,
        webcam,
    )

    frames = {'source': 'tf', 'left_frames': [f'f{n}' for n in range(21)]}
    joints = {**frames, 'source': 'joint_states', 'topics': ['joint_states'], 'frame': 'world'}
    # Another message type, because MoveIt's messages may not be installed.
    moveit = {'source': 'moveit', 'type': 'geometry_msgs/msg/PoseStamped', 'ids': ['']}
    out: dict[Entity, None] = {}
    with tempfile.TemporaryDirectory() as folder:
        video = _video(Path(folder))
        made: list[tuple[str, Callable[[], Any], dict[str, Any]]] = [
            ('synthesizer', synthesizer_node.started, {'checkpoint': checkpoint}),
            (
                'synthesizer',
                synthesizer_node.started,
                {'checkpoint': checkpoint, 'embodiment': 'robot'},
            ),
            ('motion_player', motion_player.MotionPlayer, {}),
            ('motion_player', motion_player.MotionPlayer, {'robot': 'demo', 'seconds': 0.1}),
            ('recorder', recorder.Recorder, {'bag': f'{folder}/bag'}),
            ('hand_source', hand_source.HandSource, {}),
            ('hand_source', hand_source.HandSource, frames),
            ('hand_source', hand_source.HandSource, joints),
            ('object_source', object_source.ObjectSource, {}),
            ('object_source', object_source.ObjectSource, moveit),
            ('object_source', object_source.ObjectSource, {'source': 'tf'}),
            ('object_source', object_source.ObjectSource, {'source': 'grasp'}),
            ('webcam', webcam.Webcam, {'file': video}),
            ('virtual_camera', virtual_camera.VirtualCameraNode, {}),
            ('virtual_camera', virtual_camera.VirtualCameraNode, {'kind': 'wrist'}),
            ('viewer', viewer.Viewer, {'port': 0}),
            ('augmenter', augmenter.Augmenter, {'bag_folders': [folder], 'out_folder': folder}),
        ]
        for name, make, parameters in made:
            with started(make, parameters) as node:
                if isinstance(node, viewer.Viewer):  # as if pages show all streams
                    with ExitStack() as pages:
                        for stream in viewer.STREAMS:
                            pages.enter_context(node._feed.watch(stream, lambda image: None))
                        node._follow_pages()
                out |= dict.fromkeys(entities(node, name))
    nodes, kinds = (
        list(dict.fromkeys(name for name, *_ in made)),
        [IN, OUT, SERVICE, CLIENT, ACTION],
    )
    return sorted(out, key=lambda e: (nodes.index(e.node), kinds.index(e.kind), e.name))


@cache
def meanings() -> dict[str, dict[str, str]]:
    """The meaning of each entity, by node and name."""
    found: dict[str, dict[str, str]] = yaml.safe_load((ROOT / 'tools/topics.yaml').read_text())
    return found


def topics(found: list[Entity]) -> str:
    """The table of topics. Raises KeyError for one that is not in tools/topics.yaml."""
    rows = ['| Node | | Topic | Type | QoS | |', '|---|---|---|---|---|---|']
    for e in found:
        if e.kind in (IN, OUT):
            meaning = meanings()[e.node][e.name]
            rows.append(f'| {e.node} | {e.kind} | `{e.name}` | `{e.type}` | {e.qos} | {meaning} |')
    return '\n'.join(rows)


def stale(found: list[Entity]) -> list[str]:
    """Entries of tools/topics.yaml that no node has."""
    there = {(e.node, e.name) for e in found}
    return [
        f'{n}: {name}'
        for n, names in meanings().items()
        for name in names
        if (n, name) not in there
    ]


def services(found: list[Entity]) -> str:
    """The table of services and actions."""
    rows = ['| Node | | Name | Type | |', '|---|---|---|---|---|']
    for e in found:
        if e.kind in (SERVICE, CLIENT, ACTION):
            rows.append(
                f'| {e.node} | {e.kind} | `{e.name}` | `{e.type}` | {meanings()[e.node][e.name]} |'
            )
    return '\n'.join(rows)


def sources() -> str:
    """The message types of hand_source and object_source."""
    from manivideo_ros.motion.sources import hand_messages, joint_messages
    from manivideo_ros.ros.sources import object_intake, object_messages

    rows = ['| Node | `source` | Type |', '|---|---|---|']
    for name, hands in hand_messages.SOURCES.items():
        rows.append(f'| hand_source | `{name}` | `{_short(hands.kind)}` |')
    rows.append('| hand_source | `tf` | `tf2_msgs/TFMessage` |')
    for name, kind in joint_messages.KINDS.items():
        rows.append(f'| hand_source | `{name}` | `{_short(kind)}` |')
    for name, (kind, _) in object_messages.SOURCES.items():
        rows.append(f'| object_source | `{name}` | `{_short(kind)}` |')
    for kind in ('CollisionObject', *object_intake.MOVEIT_KINDS.values()):
        rows.append(f'| object_source | `{object_intake.MOVEIT}` | `moveit_msgs/{kind}` |')
    rows.append('| object_source | `tf` | `tf2_msgs/TFMessage` |')
    rows.append('| object_source | `grasp` | `manivideo_ros/HandPoses` |')
    return '\n'.join(rows)


def interfaces() -> str:
    """The messages, services and actions of this package, with their first line."""
    rows = ['| Interface | |', '|---|---|']
    for file in sorted(f for kind in ('msg', 'srv', 'action') for f in (ROOT / kind).glob('*')):
        first = file.read_text().splitlines()[0].lstrip('# ').partition('. ')[0].rstrip('.')
        rows.append(f'| [`{file.stem}`](../{file.parent.name}/{file.name}) | {first} |')
    return '\n'.join(rows)


def parameters() -> str:
    """The parameters of all nodes."""
    rows = ['| Node | Parameter | Default | Meaning |', '|---|---|---|---|']
    for node, kind in ALL.items():
        for name, entry in entries(kind).items():
            default = default_of(entry)
            default = ', '.join(map(str, default)) if isinstance(default, list) else default
            default = str(default).lower() if isinstance(default, bool) else default
            live = '; may change live' if entry.metadata['live'] else ''
            rows.append(f'| {node} | `{name}` | {_code(default)} | {description_of(entry)}{live} |')
    return '\n'.join(rows)


def launch_arguments() -> str:
    """The arguments of all launch files; shared ones once."""
    by_file = {
        file.name: {e.name: (e.default, e.description) for e in declared_by(file)}
        for file in sorted((ROOT / 'launch').glob('*.launch.py'))
    }
    shared = {
        name: declared
        for name, declared in by_file['synthesizer.launch.py'].items()
        if name != 'config' and by_file['teleop.launch.py'].get(name) == declared
    }
    rows = ['| Launch file | Argument | Default | |', '|---|---|---|---|']
    for file, declared in by_file.items():
        if shared.items() <= declared.items():
            rows.append(f'| `{file}` | the shared ones, and: | | |')
        for name, (default, description) in declared.items():
            if shared.get(name) != (default, description) or not shared.items() <= declared.items():
                rows.append(f'| `{file}` | `{name}` | {_code(default)} | {description} |')
    rows += [f'| shared | `{n}` | {_code(d)} | {text} |' for n, (d, text) in shared.items()]
    return '\n'.join(rows)


def commands() -> str:
    """The commands of `manivideo` and their arguments."""
    rows = ['| Command | Argument | Default | |', '|---|---|---|---|']
    for name, parser in manivideo_parsers().items():
        taken = list(arguments(parser))
        if not taken:
            rows.append(f'| `{name}` | | | |')
        for action in taken:
            default = action.default
            plain = isinstance(default, str | float | int) and not isinstance(default, bool)
            # The defaults of workers and threads depend on the machine.
            stated = plain and default != '' and action.dest not in ('workers', 'threads')
            value = f'`{default}`' if stated else ''
            value = 'required' if action.required and action.option_strings else value
            rows.append(f'| `{name}` | `{shown(action)}` | {value} | {action.help or ""} |')
    return '\n'.join(rows).replace('|layers', '\\|layers')


def sections(found: list[Entity]) -> dict[str, str]:
    """Every generated part of the document, by its mark; found: result of `all_entities`."""
    return {
        'topics': topics(found),
        'services': services(found),
        'sources': sources(),
        'interfaces': interfaces(),
        'parameters': parameters(),
        'launch': launch_arguments(),
        'commands': commands(),
    }


def filled(text: str, parts: Mapping[str, str]) -> str:
    """The document with its generated parts replaced. Raises ValueError for an unknown part."""
    for name, part in parts.items():
        pattern = re.compile(rf'(<!-- {name}: [^\n]*-->\n).*?(<!-- end -->)', re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f'{DOCUMENT.name}: has no mark for {name}')
        text = pattern.sub(lambda m, part=part: f'{m[1]}{part}\n{m[2]}', text)  # type: ignore[misc]
    return text


def _topic(node: str, kind: str, name: str, type_: Any, qos: QoSProfile | None = None) -> Entity:
    relative = name.removeprefix(f'/{NAMESPACE}/')
    package = type_.__module__.split('.')[0]
    return Entity(
        node, kind, relative, f'{package}/{type_.__name__}', '' if qos is None else _qos(qos)
    )


def _actions(node: Node) -> list[tuple[str, list[str]]]:
    """The actions of a node, which must discover itself first."""
    for _ in range(100):
        found: list[tuple[str, list[str]]] = get_action_server_names_and_types_by_node(
            node, node.get_name(), node.get_namespace()
        )
        if found:
            return found
        time.sleep(0.1)
    raise ValueError(f'{node.get_name()}: its action was not discovered')


def _qos(profile: QoSProfile) -> str:
    parts = ['reliable' if profile.reliability == ReliabilityPolicy.RELIABLE else 'best effort']
    if profile.durability == DurabilityPolicy.TRANSIENT_LOCAL:
        parts.append('latched')
    if profile.history == HistoryPolicy.KEEP_LAST:
        parts.append(f'last {profile.depth}')
    return ', '.join(parts)


def _short(kind: str) -> str:
    return kind.replace('/msg/', '/')


def _code(default: Any) -> str:
    return f'`{default}`' if default not in ('', None) else "`''`"


def _video(folder: Path) -> str:
    file = str(folder / 'video.avi')
    writer = cv2.VideoWriter(file, cv2.VideoWriter.fourcc(*'MJPG'), 10, (64, 64))
    for _ in range(3):
        writer.write(np.zeros((64, 64, 3), np.uint8))
    writer.release()
    return file


def main() -> int:
    """Update the document."""
    DOCUMENT.write_text(filled(DOCUMENT.read_text(), sections(all_entities())))
    return 0


if __name__ == '__main__':
    sys.exit(main())
