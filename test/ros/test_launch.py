"""A lab's way: colcon builds the package, the unmodified launch files start its nodes."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from geometry_msgs.msg import PoseArray
from hand_sources import joint_array
from labs import lab_in
from launch_stand_in import DeclareLaunchArgument, Launch, load, text_of
from manivideo_ros.msg import ObjectPoses
from sensor_msgs.msg import Image

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.process.node_processes import environment, free_domain
from manivideo_ros.ros.declare_parameters import check_values
from manivideo_ros.ros.parameters import ALL

ROOT = Path(__file__).resolve().parents[2]
CAMERAS = ('front', 'side')
LAUNCH_FILES = sorted((ROOT / 'launch').glob('*.launch.py'))


@pytest.fixture(scope='module', autouse=True)
def building(tmp_path_factory):
    """A workspace with this package that colcon builds, while the tests before go on."""
    base = tmp_path_factory.mktemp('workspace')
    (base / 'src').mkdir()
    package = base / 'src' / 'manivideo_ros'
    kept_out = ('build', 'install', 'log', 'out', '.*', 'results', '__pycache__')
    shutil.copytree(ROOT, package, ignore=shutil.ignore_patterns(*kept_out))
    env = {
        **os.environ,
        'PATH': f'{sys.prefix}/bin{os.pathsep}{os.environ["PATH"]}',
        'CMAKE_PREFIX_PATH': os.environ['AMENT_PREFIX_PATH'],
        'COLCON_HOME': str(base / 'colcon'),
    }
    options = ['-G', 'Ninja', '-DBUILD_TESTING=OFF', f'-DPython3_EXECUTABLE={sys.executable}']
    if 'ROS_DISTRO' not in os.environ:
        options.append(f'-DCMAKE_PROJECT_INCLUDE={package}/cmake/wheels.cmake')
        options.append('-DMANIVIDEO_PYTHON_ONLY=ON')
    with (base / 'build.log').open('w') as log:
        colcon = subprocess.Popen(
            ['colcon', 'build', '--cmake-args', *options],
            cwd=base,
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    yield base, env, colcon
    colcon.kill()
    colcon.wait()


@pytest.fixture(scope='module')
def workspace(building):
    """Environment of a shell that has sourced the workspace."""
    base, env, colcon = building
    assert colcon.wait(600) == 0, (base / 'build.log').read_text()
    sourced = subprocess.run(
        ['bash', '-c', '. install/setup.bash && env -0'],
        cwd=base,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split('=', 1) for line in sourced.stdout.split('\0') if '=' in line)


@contextmanager
def launched(file, environment, arguments):
    launch = Launch(file, environment, arguments)
    launch.start()
    try:
        yield launch
    finally:
        launch.stop()


def until(launch, done, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not done():
        ended = [name for name, p in launch.processes.items() if p.poll() is not None]
        assert not ended, f'{ended}: {launch.log(ended[0])}'
        time.sleep(0.1)


def test_a_headset_becomes_video(node_environment, shipped, images, motion):
    domain = free_domain(42)
    env = {**node_environment, 'ROS_DOMAIN_ID': str(domain)}
    arguments = {
        'checkpoint': str(shipped),
        'topics': '[xr/hand_left/joints, xr/hand_right/joints]',
        'objects': 'true',
        'object_source': 'grasp',
        'camera': 'true',
        **images,
    }
    file = ROOT / 'launch' / 'teleop.launch.py'
    with launched(file, env, arguments) as launch, lab_in(domain, motion) as lab:
        lab.listen(Image, 'image_raw')
        lab.listen(ObjectPoses, 'object_poses')
        joints = lab.create_publisher(PoseArray, 'xr/hand_right/joints', 10)

        def enough():
            now = lab.get_clock().now().nanoseconds
            joints.publish(joint_array('right', stamp=now, frame='world'))
            lab.spin(0.03)
            return all(len(got) > 2 for got in lab.got.values())

        until(launch, enough)
        assert lab.got['image_raw'][-1].header.frame_id == 'camera_optical_frame'
        (held,) = lab.got['object_poses'][-1].objects
        assert held.object_id == 'mug'


@pytest.mark.parametrize('file', LAUNCH_FILES, ids=lambda f: f.name)
def test_every_argument_is_described(file):
    declared = [e for e in load(file) if isinstance(e, DeclareLaunchArgument)]
    assert declared
    for argument in declared:
        assert len(argument.description) > 20, argument.name


@pytest.mark.parametrize('file', LAUNCH_FILES, ids=lambda f: f.name)
def test_nodes_are_installed_and_get_parameters_that_they_have(file, node_environment):
    wanted = {
        e.name: 'true'
        for e in load(file)
        if isinstance(e, DeclareLaunchArgument) and e.default == 'false'
    }
    launch = Launch(file, node_environment, wanted)
    ours = [node for node in launch.nodes if node.package == 'manivideo_ros']
    assert ours
    for node in ours:
        command = launch.command(node)
        assert Path(command.argv[0]).is_file()
        for version in ('FASTRTPS', 'FASTDDS'):
            profile = Path(command.env[f'{version}_DEFAULT_PROFILES_FILE'])
            assert profile.name == 'fastdds.xml' and profile.is_file()
        for file in node.parameters:
            for section, content in yaml.safe_load(Path(file).read_text()).items():
                kind = section.rpartition('/')[2]
                check_values(content['ros__parameters'], ALL.get(kind, ALL[node.executable]))


def test_each_viewer_and_the_recorder_is_a_node(node_environment):
    switches = dict.fromkeys(('rviz', 'foxglove', 'view', 'record'), 'true')
    for file in LAUNCH_FILES:
        if file.name == 'augmentation.launch.py':
            continue
        nodes = {n.executable: n for n in Launch(file, node_environment, switches).nodes}
        assert nodes.keys() >= {'rviz2', 'foxglove_bridge', 'viewer', 'recorder'}
        plain = {n.executable for n in Launch(file, node_environment, {}).nodes}
        assert not plain & {'rviz2', 'foxglove_bridge', 'viewer', 'recorder'}
        _, display = nodes['rviz2'].arguments
        assert Path(display.perform(Launch(file, node_environment, switches))).is_file()


def test_viewers_of_several_cameras_are_in_their_namespaces(node_environment):
    switches = {'view': 'true', 'namespace': 'lab'}
    launch = Launch(ROOT / 'launch' / 'cameras.launch.py', node_environment, switches)
    places = {}
    for node in launch.nodes:
        places.setdefault(node.executable, set()).add(text_of(node.namespace, launch))
    assert len(places['synthesizer']) == 2
    assert places['viewer'] < places['synthesizer']


def test_switches_select_the_nodes(node_environment):
    file = ROOT / 'launch' / 'demo.launch.py'
    chosen = Launch(file, node_environment, {'play': 'false', 'record': 'true'}).nodes
    assert {node.name for node in chosen} == {'synthesizer', 'recorder'}


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


def test_every_parameter_file_belongs_to_a_launch_file():
    files = {file.name for file in (ROOT / 'config').glob('*.yaml')}
    declared = (e for file in LAUNCH_FILES for e in load(file))
    assert files == {
        e.default for e in declared if isinstance(e, DeclareLaunchArgument) and e.name == 'config'
    }


def test_the_built_package_is_what_the_workspace_offers(workspace, tmp_path):
    def output(*command):
        options = {'cwd': tmp_path, 'env': workspace, 'capture_output': True, 'text': True}
        return subprocess.run(command, check=True, **options).stdout

    code = 'import manivideo_ros, manivideo_ros.msg; print(manivideo_ros.__file__)'
    assert '/install/manivideo_ros/' in output(sys.executable, '-c', code)
    assert 'doctor' in output('manivideo', '--help')


def test_two_cameras_see_one_motion_at_once(
    workspace, shipped, images, motion_file, motion, tmp_path
):
    domain = free_domain(41)
    settings = environment(domain)
    names = ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'PYTHONUNBUFFERED')
    env = {**workspace, **{name: settings[name] for name in names}}
    share = Path(env['AMENT_PREFIX_PATH'].split(os.pathsep)[0]) / 'share' / 'manivideo_ros'
    arguments = {
        'motion': str(motion_file),
        'record': 'true',
        'bag': str(tmp_path / 'bag'),
        'checkpoint': str(shipped),
        'namespace': 'lab',
        **images,
    }
    file = share / 'launch' / 'cameras.launch.py'
    with launched(file, env, arguments) as launch, lab_in(domain, motion) as lab:
        for camera in CAMERAS:
            lab.listen(Image, f'/lab/{camera}/image_raw')
        until(launch, lambda: lab.spin(0.1) or all(len(got) > 2 for got in lab.got.values()))
        until(launch, lambda: all(f'/{c}/image_raw' in launch.log('recorder') for c in CAMERAS))
        frames = {got[-1].header.frame_id for got in lab.got.values()}
        assert frames == {'front_optical_frame', 'side_optical_frame'}
    assert launch.processes['recorder'].returncode == 0
    recorded = set(BagReader(tmp_path / 'bag').topics)
    videos = {f'/lab/{camera}/image_raw/foxglove' for camera in CAMERAS}
    assert recorded >= videos | {'/lab/hand_poses'}
