"""A lab's way: colcon builds the package, the unmodified launch file starts its nodes."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from launch_stand_in import DeclareLaunchArgument, Launch, load

from manivideo_ros.processes import environment, free_domain
from manivideo_ros.recording.bag import BagReader
from manivideo_ros.stream_report import read_stream, summary

ROOT = Path(__file__).resolve().parents[1]
LAUNCH_FILES = sorted((ROOT / 'launch').glob('*.launch.py'))


@pytest.fixture(scope='module')
def workspace(tmp_path_factory):
    """Environment of a shell that has sourced a workspace with this package, built by colcon."""
    base = tmp_path_factory.mktemp('workspace')
    (base / 'src').mkdir()
    package = base / 'src' / 'manivideo_ros'
    kept_out = ('build', 'install', 'log', 'out', '.*', 'results', '__pycache__')
    shutil.copytree(ROOT, package, ignore=shutil.ignore_patterns(*kept_out))
    prefix = os.environ['AMENT_PREFIX_PATH']
    env = {
        **os.environ,
        'PATH': f'{sys.prefix}/bin{os.pathsep}{os.environ["PATH"]}',
        'CMAKE_PREFIX_PATH': prefix,
        'COLCON_HOME': str(base / 'colcon'),
    }
    options = ['-G', 'Ninja', '-DBUILD_TESTING=OFF', f'-DPython3_EXECUTABLE={sys.executable}']
    if 'ROS_DISTRO' not in os.environ:
        options.append(f'-DCMAKE_PROJECT_INCLUDE={package}/cmake/wheels.cmake')
    command = ['colcon', 'build', '--cmake-args', *options]
    done = subprocess.run(command, cwd=base, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sourced = subprocess.run(
        ['bash', '-c', '. install/setup.bash && env -0'],
        cwd=base,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split('=', 1) for line in sourced.stdout.split('\0') if '=' in line)


def test_the_built_package_is_what_the_workspace_offers(workspace, tmp_path):
    def output(*command):
        options = {'cwd': tmp_path, 'env': workspace, 'capture_output': True, 'text': True}
        return subprocess.run(command, check=True, **options).stdout

    code = 'import manivideo_ros, manivideo_ros.msg; print(manivideo_ros.__file__)'
    assert '/install/manivideo_ros/' in output(sys.executable, '-c', code)
    assert 'doctor' in output('manivideo', '--help')


def test_the_launch_file_streams_video(workspace, untrained, pictures, motion_file, tmp_path):
    settings = environment(free_domain(40))
    names = ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'PYTHONUNBUFFERED')
    env = {**workspace, **{name: settings[name] for name in names}}
    share = Path(env['AMENT_PREFIX_PATH'].split(os.pathsep)[0]) / 'share' / 'manivideo_ros'
    launch = Launch(
        share / 'launch' / 'demo.launch.py',
        env,
        {
            'motion': str(motion_file),
            'record': 'true',
            'bag': str(tmp_path / 'bag'),
            'checkpoint': str(untrained),
            'namespace': 'lab',
            **pictures,
        },
    )
    launch.start()
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and 'image_raw' not in launch.log('recorder'):
            running = {name: p.poll() for name, p in launch.processes.items()}
            assert set(running.values()) == {None}, launch.log('synthesizer')
            time.sleep(0.2)
        time.sleep(2)
    finally:
        launch.stop()
    assert launch.processes['recorder'].returncode == 0
    assert '/lab/image_raw' in BagReader(tmp_path / 'bag').topics
    report = summary(read_stream(tmp_path / 'bag'))
    assert report['frames_out'] >= 3, launch.log('synthesizer')
    assert report['backend'] == 'onnxruntime'


@pytest.mark.parametrize('file', LAUNCH_FILES, ids=lambda f: f.name)
def test_every_argument_is_described(file):
    declared = [e for e in load(file) if isinstance(e, DeclareLaunchArgument)]
    assert declared
    for argument in declared:
        assert len(argument.description) > 20, argument.name


@pytest.mark.parametrize('file', LAUNCH_FILES, ids=lambda f: f.name)
def test_launch_files_resolve(file, node_environment):
    launch = Launch(file, node_environment, {})
    assert {node.executable for node in launch.nodes} >= {'synthesizer'}
    for node in launch.nodes:
        command = launch.command(node)
        assert Path(command.argv[0]).is_file()
        assert Path(command.env['FASTDDS_DEFAULT_PROFILES_FILE']).is_file()


def test_conditions_choose_the_nodes(node_environment):
    file = ROOT / 'launch' / 'demo.launch.py'
    chosen = Launch(file, node_environment, {'play': 'false', 'record': 'true'}).nodes
    assert [node.name for node in chosen] == ['synthesizer', 'recorder']


@pytest.mark.parametrize('file', LAUNCH_FILES, ids=lambda f: f.name)
def test_launch_files_with_the_real_launch(file):
    launch = pytest.importorskip('launch', reason='ROS 2 launch is not installed here')
    if not hasattr(launch, 'LaunchService'):
        pytest.skip('ROS 2 launch is not installed here')
    import runpy

    service = launch.LaunchService(argv=['play:=false'])
    description = runpy.run_path(str(file))['generate_launch_description']()
    assert description.get_launch_arguments()
    assert service is not None
