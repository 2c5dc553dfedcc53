"""docs/reference.md, RViz's and Foxglove's files describe the running nodes and parsers."""

import json
from pathlib import Path

import pytest
import yaml

from tools.command_lines import arguments, manivideo_parsers
from tools.reference import DOCUMENT, OUT, all_entities, filled, sections, stale

ROOT = Path(__file__).resolve().parents[1]
SHOWS = {
    'rviz_default_plugins/Image': 'sensor_msgs/Image',
    'rviz_default_plugins/MarkerArray': 'visualization_msgs/MarkerArray',
}


@pytest.fixture(scope='module')
def found(shipped):
    """All topics, services and actions of all nodes."""
    return all_entities(str(shipped))


@pytest.fixture(scope='module')
def published(found):
    return {e.name: e.type for e in found if e.kind == OUT}


def test_the_reference_is_what_the_nodes_and_parsers_have(found):
    text = DOCUMENT.read_text()
    assert filled(text, sections(found)) == text, 'run: python -m tools.reference'


def test_nothing_is_told_that_is_not_there(found):
    assert stale(found) == []


def test_a_topic_without_a_meaning_is_an_error(found):
    from dataclasses import replace

    from tools.reference import topics

    with pytest.raises(KeyError, match='unheard_of'):
        topics([replace(found[0], name='unheard_of')])


def test_every_argument_of_every_command_is_described():
    for name, parser in manivideo_parsers().items():
        for action in arguments(parser):
            assert action.help, f'manivideo {name}: {action.dest}'


VIDEOS = {'cameras.rviz': ('front/', 'side/'), 'embodiments.rviz': ('human/', 'robot/')}


@pytest.mark.parametrize('file', sorted((ROOT / 'rviz').glob('*.rviz')), ids=lambda f: f.name)
def test_rviz_shows_topics_that_are_published(file, published):
    displays = yaml.safe_load(file.read_text())['Visualization Manager']['Displays']
    shown = {d['Topic']['Value']: d['Class'] for d in displays if 'Topic' in d}
    assert set(SHOWS.values()) == {SHOWS[kind] for kind in shown.values()}
    for topic, kind in shown.items():
        # Below the namespaces of the two cameras, or embodiments.
        names = VIDEOS.get(file.name, ())
        name = next((topic.removeprefix(n) for n in names if topic.startswith(n)), topic)
        assert published[name] == SHOWS[kind], topic
        assert (name == topic) == (file.name not in VIDEOS)


def test_foxglove_shows_topics_that_are_published(published):
    layout = json.loads((ROOT / 'config' / 'foxglove_layout.json').read_text())
    panels = layout['configById']
    types = {f'/{name.lstrip("/")}': kind for name, kind in published.items()}
    images = [p['imageMode'] for p in panels.values() if 'imageMode' in p]
    assert {types[i['imageTopic']] for i in images} == {
        'sensor_msgs/Image',
        'sensor_msgs/CompressedImage',
    }
    for image in images:
        assert types[image.get('calibrationTopic', '/camera_info')] == 'sensor_msgs/CameraInfo'
    assert types[panels['DiagnosticStatusPanel!synthesizer']['topicToRender']].startswith('diag')
    assert [types[t] for t in panels['3D!hands']['topics']] == ['visualization_msgs/MarkerArray']
    for path in panels['Plot!latency']['paths']:
        topic, _, field = path['value'].partition('.')
        assert types[topic] == 'manivideo_ros/FrameTimes'
        assert f' {field}\n' in (ROOT / 'msg' / 'FrameTimes.msg').read_text()

    def leaves(node):
        if isinstance(node, str):
            return {node}
        return leaves(node['first']) | leaves(node['second'])

    assert leaves(layout['layout']) == set(panels)
