"""Launch arguments override the parameter file only where they are given; wrong values and missing
packages end the launch before anything is started."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest
import rclpy
import yaml
from launch_stand_in import DeclareLaunchArgument, Launch, load, text_of
from rclpy.node import Node

from manivideo_ros.process.node_processes import free_domain
from manivideo_ros.ros.declare_parameters import declare
from manivideo_ros.ros.launch import foxglove
from manivideo_ros.ros.launch import values as launch_values
from manivideo_ros.ros.parameters import ALL

ROOT = Path(__file__).resolve().parents[2]
FILES = {file.name.split('.')[0]: file for file in sorted((ROOT / 'launch').glob('*.launch.py'))}
SWITCHES = dict.fromkeys(('rviz', 'foxglove', 'view', 'record'), 'true')


def launch(name, node_environment, arguments=None, **others):
    return Launch(FILES[name], node_environment, arguments or {}, **others)


def node_of(launched, executable):
    return next(node for node in launched.nodes if node.executable == executable)


def parameters_of(launched, executable):
    """The parameters that the node declares with that command line."""
    node = node_of(launched, executable)
    context = rclpy.Context()
    rclpy.init(args=launched.command(node).argv, context=context)
    try:
        return declare(Node(executable, context=context), ALL[executable])
    finally:
        rclpy.shutdown(context=context)


@pytest.mark.parametrize('section', ['/**', 'synthesizer', '/synthesizer', '/**/synthesizer'])
def test_arguments_override_the_parameter_file_only_where_they_are_given(
    section, node_environment, tmp_path
):
    file = tmp_path / 'mine.yaml'
    values = {'engine': 'tiny_cpu', 'object_ids': ['cup'], 'hold_s': 0.5, 'threads': 3}
    # After it a second section, of the kind that rcl would merge with what launch passes on.
    sections = {section: {'ros__parameters': values}, '/*': {'ros__parameters': {'fade_s': 0.7}}}
    file.write_text(yaml.safe_dump(sections, sort_keys=False))
    given = {'config': str(file), 'object_ids': '[plate]', 'checkpoint': '2026'}
    got = parameters_of(launch('synthesizer', node_environment, given), 'synthesizer')
    assert (got.engine, got.hold_s, got.fade_s, got.threads) == ('tiny_cpu', 0.5, 0.7, 3)
    assert got.object_ids == ('plate',), 'the argument overrides the file'
    assert got.checkpoint == '2026', 'a string stays a string'
    assert got.object_meshes == ('mug',), "without either the node's default"


def test_an_empty_argument_counts_as_given(node_environment, tmp_path):
    file = tmp_path / 'mine.yaml'
    file.write_text('/**:\n  ros__parameters: {background: room.png, use_sim_time: true}\n')
    arguments = {'config': str(file)}
    kept = parameters_of(launch('demo', node_environment, arguments), 'synthesizer')
    assert kept.background == 'room.png'
    arguments['background'] = ''
    assert (
        parameters_of(launch('demo', node_environment, arguments), 'synthesizer').background == ''
    )


def test_the_parameter_file_overrides_defaults_of_the_launch_file(node_environment, tmp_path):
    file = tmp_path / 'mine.yaml'
    file.write_text('/**/hand_source:\n  ros__parameters: {source: joint_states}\n')
    plain = parameters_of(launch('planner', node_environment), 'hand_source')
    assert (plain.source, plain.topics) == ('display_trajectory', ('display_planned_path',))
    changed = parameters_of(
        launch('planner', node_environment, {'config': str(file)}), 'hand_source'
    )
    assert (changed.source, changed.topics) == ('joint_states', ('display_planned_path',))


@pytest.mark.parametrize(
    ('name', 'executable'),
    [('synthesizer', 'synthesizer'), ('teleop', 'hand_source'), ('webcam', 'webcam')],
)
def test_shown_defaults_are_those_of_the_node(name, executable):
    declared = (e for e in load(FILES[name]) if isinstance(e, DeclareLaunchArgument))
    shown = {e.name: e.default for e in declared if e.default.startswith('(config')}
    own = ALL[executable]()
    for entry in fields(own):
        value = getattr(own, entry.name)
        value = list(value) if isinstance(value, tuple) else value
        if entry.name in shown:
            text = shown[entry.name].removeprefix('(config').removeprefix(', else ')
            plain = '' if value in ([''], '') else value
            assert (yaml.safe_load(text[:-1]) if text[:-1] else '') == plain, entry.name


@pytest.mark.parametrize(
    ('arguments', 'why'),
    [
        ({'object_ids': 'mug'}, r'''object_ids: must be a list, is 'mug': write "\[mug\]"'''),
        ({'object_scales': '[x]'}, 'object_scales: must be of type float'),
        ({'source': 'opnxr'}, "source: 'opnxr' is not one of openxr, mediapipe"),
        ({'object_ids': '[a'}, 'object_ids: .* cannot be read as YAML'),
        ({'view': 'maybe'}, "view: must be true or false, is 'maybe'"),
        ({'respawn': 'often'}, 'respawn: must be true or false'),
        ({'use_sim_time': '2'}, 'use_sim_time: must be true or false'),
        ({'remaps': 'hand_poses'}, "remaps: 'hand_poses' is not a rule: write"),
        ({'config': '/nowhere/lab.yaml'}, r'config: /nowhere/lab\.yaml: no such file; name a file'),
        ({'config': 'demmo.yaml'}, r'demmo\.yaml: no such file.*demo\.yaml'),
    ],
    ids=lambda value: '' if isinstance(value, str) else '-'.join(value),
)
def test_an_unusable_argument_ends_the_launch_with_its_name(arguments, why, node_environment):
    with pytest.raises(ValueError, match=f'launch argument .*{why}') as caught:
        launch('teleop', node_environment, arguments)
    assert '\n' not in str(caught.value)


def test_a_misspelt_argument_is_refused_with_a_suggestion(node_environment, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['ros2', 'launch', 'manivideo_ros', 'demo.launch.py'])
    with pytest.raises(ValueError, match='did you mean engine'):
        launch('demo', node_environment, {'enigne': 'tiny'})
    with pytest.raises(ValueError, match=r'colour: .* --show-args'):
        launch('demo', node_environment, {'colour': 'red'})


def test_an_including_launch_file_gets_a_warning_for_similar_arguments(node_environment):
    """Its own arguments are in the context too."""
    started = launch('demo', node_environment, {'enigne': 'tiny', 'robot_name': 'arm'})
    (note,) = started.notes
    assert note.startswith('[WARN] launch argument enigne') and 'did you mean engine?' in note


def test_a_former_argument_sets_the_one_that_replaces_it_with_a_warning(
    node_environment, monkeypatch
):
    monkeypatch.setattr(sys, 'argv', ['ros2', 'launch', 'manivideo_ros', 'demo.launch.py'])
    started = launch('demo', node_environment, {'hand_appearance': 'hand.png'})
    (note,) = started.notes
    assert note.startswith('[WARN] launch argument hand_appearance is now called hand_reference')
    assert parameters_of(started, 'synthesizer').hand_reference == 'hand.png'
    both = {'hand_appearance': 'hand.png', 'hand_reference': 'mine.png'}
    started = launch('demo', node_environment, both)
    assert parameters_of(started, 'synthesizer').hand_reference == 'mine.png'


def test_a_missing_package_is_reported_before_anything_starts(node_environment):
    for wanted, package in (('rviz', 'rviz2'), ('foxglove', 'foxglove_bridge')):
        with pytest.raises(ValueError, match=f'{wanted}: the package {package} is not installed'):
            launch('demo', node_environment, {wanted: 'true'}, installed=())


@pytest.mark.parametrize('name', [name for name in FILES if name != 'augmentation'])
def test_nodes_of_other_packages_start_first(name, node_environment):
    ours = [n.package == 'manivideo_ros' for n in launch(name, node_environment, SWITCHES).nodes]
    assert ours == sorted(ours) and not ours[0]


def test_respawn_log_level_and_remaps_reach_all_nodes(node_environment):
    arguments = {
        'respawn': 'true',
        'log_level': 'debug',
        'remaps': '[hand_poses:=/glove/poses, image_raw:=/out]',
        'record': 'true',
    }
    for node in launch('cameras', node_environment, arguments).nodes:
        assert node.respawn == (node.executable not in ('motion_player', 'recorder'))
        assert node.ros_arguments == ['--log-level', 'debug']
        assert node.remappings[0] == ('hand_poses', '/glove/poses'), (
            'the first matching rule is used'
        )


def test_the_demo_waits_for_a_subscriber(node_environment):
    assert parameters_of(launch('demo', node_environment), 'motion_player').wait_for == 1


def test_the_foxglove_layout_follows_the_namespace(node_environment, monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    shipped = json.loads((ROOT / 'config' / 'foxglove_layout.json').read_text())
    plain, lab = (
        launch('demo', node_environment, {'foxglove': 'true', **arguments}).notes[0]
        for arguments in ({}, {'namespace': '/lab/one'})
    )
    assert plain.endswith('/config/foxglove_layout.json')
    layout = json.loads(Path(lab.rpartition(' ')[2]).read_text())
    image = layout['configById']['Image!synthesized']['imageMode']
    assert image['imageTopic'] == '/lab/one/image_raw/compressed'
    paths = layout['configById']['Plot!latency']['paths']
    assert paths[0]['value'] == '/lab/one/frame_times.latency'
    assert '/lab/one/markers' in layout['configById']['3D!hands']['topics']
    assert layout['configById']['DiagnosticStatusPanel!synthesizer'] == {
        'topicToRender': '/diagnostics'
    }
    assert layout['layout'] == shipped['layout']
    assert foxglove.in_namespace(shipped, 'a') != shipped


def test_each_camera_has_a_layout(node_environment, monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    notes = launch('cameras', node_environment, {'foxglove': 'true'}).notes
    assert [note.rpartition('_')[2] for note in notes] == ['front.json', 'side.json']


def test_a_parameter_file_of_the_working_directory_is_found(
    node_environment, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    Path('mine.yaml').write_text('/**:\n  ros__parameters: {hold_s: 2}\n')
    started = launch('demo', node_environment, {'config': 'mine.yaml'})
    assert parameters_of(started, 'synthesizer').hold_s == 2.0


def test_misspelt_names_are_matched():
    assert launch_values.misspelt(['engin', 'x', 'view'], ['engine', 'view']) == {
        'engin': 'engine',
        'x': '',
    }


real = pytest.mark.skipif(
    subprocess.run(
        [sys.executable, '-c', 'import launch, launch_ros, ros2launch'], capture_output=True
    ).returncode
    != 0,
    reason='ROS 2 launch is not installed here',
)


@contextmanager
def ros2_launch(*arguments, **settings):
    """The real `ros2 launch` of a launch file of this package, as a shell starts it."""
    process = subprocess.Popen(
        [f'{sys.prefix}/bin/ros2', 'launch', 'manivideo_ros', *arguments],
        env={**os.environ, 'ROS_DOMAIN_ID': str(free_domain(60)), **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@real
@pytest.mark.parametrize(
    ('argument', 'why'),
    [
        ('enigne:=tiny', 'did you mean engine'),
        ('foxglove:=true', 'foxglove_bridge is not installed'),
        ('config:=none.yaml', 'none.yaml: no such file'),
        ('object_ids:=mug', r'write "[mug]"'),
    ],
)
def test_the_real_launch_ends_with_the_name_and_nothing_started(argument, why):
    with ros2_launch('demo.launch.py', argument) as process:
        output = process.communicate(timeout=60)[0]
    assert process.returncode == 1 and why in output and 'process started' not in output


@real
def test_the_real_launch_ends_cleanly_on_a_terminals_ctrl_c():
    with ros2_launch('teleop.launch.py', 'autostart:=false') as process:
        output = ''
        while 'waiting for' not in output:
            line = process.stdout.readline()
            assert line, output
            output += line
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to all at once
        output += process.communicate(timeout=60)[0]
    assert 'has died' not in output and output.count('finished cleanly') == 2, output


def test_namespaces_of_several_cameras(node_environment):
    started = launch('cameras', node_environment, {'namespace': 'lab'})
    places = {text_of(node.namespace, started) for node in started.nodes}
    assert places == {'lab', '/lab/front', '/lab/side'}


def test_all_cameras_have_one_scene_and_one_seed(node_environment, tmp_path):
    file = tmp_path / 'mine.yaml'
    file.write_text('/**/synthesizer:\n  ros__parameters: {noise_seed: 41, object_scales: [2.0]}\n')
    given = {'config': str(file), 'object_ids': '[cup]', 'background': 'room.png'}
    started = launch('cameras', node_environment, given)
    found = []
    for node in started.nodes:
        if node.executable != 'synthesizer':
            continue
        context = rclpy.Context()
        rclpy.init(args=started.command(node).argv, context=context)
        try:
            found.append(declare(Node('synthesizer', context=context), ALL['synthesizer']))
        finally:
            rclpy.shutdown(context=context)
    front, side = found
    assert front == side
    assert (front.noise_seed, front.object_ids, front.background) == (41, ('cup',), 'room.png')
    assert front.object_scales == (2.0,)


def test_the_former_switch_of_h264_starts_nothing_and_says_why(node_environment, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['ros2', 'launch', 'manivideo_ros', 'demo.launch.py'])
    started = launch('demo', node_environment, {'h264': 'true'})
    (note,) = started.notes
    assert note.startswith('[WARN] launch argument h264: is no longer needed')
    assert {node.package for node in started.nodes} == {'manivideo_ros'}
