"""Consistency of versions, requirements, interfaces and manifests."""

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tools import try_wheels

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ElementTree.parse(ROOT / 'package.xml')
INTERFACES = sorted(ROOT.glob('msg/*.msg')) + sorted(ROOT.glob('srv/*.srv'))
INTERFACES += sorted(ROOT.glob('action/*.action'))


def requirements(*names):
    out = {}
    for name in names:
        for line in (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines():
            line = re.split('[#;]', line)[0].strip()  # without comments and markers
            if line:
                package, _, version = line.partition(';')[0].strip().partition('==')
                assert version, f'{name}.txt: {line} has no exact version'
                out[package.lower().replace('_', '-')] = version
    return out


def imported(folder):
    names = set()
    for file in sorted((ROOT / folder).rglob('*.py')):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.split('.')[0])
    return names


ROS = {
    'action_msgs', 'ament_index_python', 'builtin_interfaces', 'diagnostic_msgs', 'foxglove_msgs',
    'geometry_msgs', 'lifecycle_msgs', 'launch', 'launch_ros', 'rcl_interfaces', 'rclpy',
    'rosgraph_msgs', 'sensor_msgs', 'std_msgs', 'tf2_msgs', 'visualization_msgs', 'cv_bridge',
}  # fmt: skip
# Imported only where needed, with a message if absent.
OPTIONAL = {
    'ai_edge_litert', 'dex_retargeting', 'h5py', 'lpips', 'pandas', 'pyarrow', 'ray',
    'torch_fidelity',
}  # fmt: skip
OURS = {
    'benchmarks', 'experiments', 'manivideo_ros', 'robustness', 'tools',
    *(f.stem for f in ROOT.glob('test/**/*.py'))
}  # fmt: skip


@pytest.mark.parametrize(
    ('folder', 'files'),
    [('manivideo_ros', ('runtime',)), ('test', ('runtime', 'build', 'dev'))],
)
def test_every_import_is_required(folder, files):
    known = requirements(*files)
    providers = packages_distributions()
    missing = []
    for name in sorted(imported(folder) - set(sys.stdlib_module_names) - ROS - OURS - OPTIONAL):
        names = {d.lower().replace('_', '-') for d in providers.get(name, [name])}
        if not names & set(known):
            missing.append(name)
    assert not missing, f'pin what {folder} imports in requirements/{files[-1]}.txt'


@pytest.mark.parametrize(
    'name', ['runtime', 'build', 'dev', 'ci', 'ros-jazzy', 'ros-kilted', 'constraints']
)
def test_requirements_have_exact_versions(name):
    requirements(name)


def test_users_only_install_what_has_wheels_for_aarch64():
    """Markers only: `python -m tools.try_wheels` checks with pip, which downloads every wheel."""
    folder = ROOT / 'requirements'
    runtime = try_wheels.requirements_on(folder / 'runtime.txt', 'aarch64', '3.12')
    development = try_wheels.requirements_on(folder / 'dev.txt', 'aarch64', '3.12')
    left_out = requirements('runtime').keys() - {line.split('==')[0].lower() for line in runtime}
    assert left_out == {'openvino'}  # onnxruntime is used there
    assert not [line for line in development if line.startswith('embreex')]
    assert [line for line in try_wheels.requirements_on(folder / 'dev.txt', 'x86_64', '3.12')
            if line.startswith('embreex')]  # fmt: skip
    assert 'manylinux_2_35_aarch64' in try_wheels.platforms('aarch64', 35)
    assert 'manylinux_2_35_aarch64' not in try_wheels.platforms('aarch64', 28)


def test_building_and_playing_the_demo_install_no_development_requirements():
    def commands(target):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(('MAKE', 'MFLAGS'))}
        return subprocess.run(
            ['make', '--dry-run', '--always-make', target, 'VENV=/nowhere/venv'],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    for target in ('build', 'demo'):
        assert 'requirements/runtime.txt' in commands(target)
        assert 'requirements/build.txt' in commands(target)
        assert 'requirements/dev.txt' not in commands(target)
    assert 'requirements/dev.txt' in commands('lint')


def test_versions_of_torch_and_opencv():
    pins = requirements('runtime')
    assert pins['torch'] == '2.13.0'
    assert int(pins['opencv-python-headless'].split('.')[0]) < 5


def test_all_files_have_the_same_version():
    version = MANIFEST.findtext('version')
    shown = subprocess.run(
        [sys.executable, 'setup.py', '--version'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip().splitlines()[-1] == version
    newest = re.search(r'^(\d+\.\d+\.\d+) ', (ROOT / 'CHANGELOG.rst').read_text(), re.MULTILINE)
    assert newest.group(1) == version


def test_the_manifest_names_what_the_code_imports():
    depends = {e.text for e in MANIFEST.getroot() if e.tag.endswith('depend')}
    used = imported('manivideo_ros') & ROS - {'cv_bridge'}
    assert used | {'launch', 'launch_ros'} <= depends


def test_the_manifest_names_what_the_interfaces_use():
    depends = {e.text for e in MANIFEST.findall('depend')}
    fields = [
        re.match(r'(\w+)/\w+ ', line) for f in INTERFACES for line in f.read_text().splitlines()
    ]
    assert {field[1] for field in fields if field} <= depends


def test_the_manifest_names_every_linter_and_test_that_colcon_runs():
    depends = {e.text for e in MANIFEST.findall('test_depend')}
    assert depends >= {'ament_cmake_pytest', 'ament_lint_auto', 'python3-pytest'}
    # Their style rules contradict those of ruff (pyproject.toml).
    assert not depends & {'ament_lint_common', 'ament_cmake_flake8', 'ament_cmake_pep257'}


def test_the_manifest_names_no_foreign_hosts():
    addresses = [e.get('email') for e in MANIFEST.findall('maintainer')]
    assert all(address.endswith('.invalid') for address in addresses)
    for url in MANIFEST.findall('url'):
        assert url.get('type') in ('website', 'repository', 'bugtracker')
        assert url.text.startswith('https://arxiv.org/')


def test_modules_that_differ_between_distributions_are_not_imported_at_run_time():
    moved = ('rclpy.topic_endpoint_info', 'rclpy.task')
    for file in sorted((ROOT / 'manivideo_ros').rglob('*.py')):
        for node in ast.parse(file.read_text()).body:
            assert not (isinstance(node, ast.ImportFrom) and node.module in moved), file


def test_the_licence_is_apache():
    assert 'Apache License' in (ROOT / 'LICENSE').read_text()[:200]
    assert MANIFEST.findtext('license') == 'Apache-2.0'


@pytest.mark.parametrize('file', INTERFACES, ids=lambda f: f.name)
def test_every_field_is_commented(file):
    above, fields = [], 0
    for line in [*file.read_text().splitlines(), '']:
        if line.startswith('#'):
            above.append(line)
        elif not line.strip() or line == '---':
            above = []
        elif '=' not in line:
            fields += 1
            assert above, f'{file.name}: {line!r} has no comment on its meaning, unit or frame'
    assert fields


UNITS = re.compile(r'metre|radian|no unit|xyzw|frame|0 \(lost|standard deviation|per second|stamp')


@pytest.mark.parametrize('file', sorted(ROOT.glob('msg/*.msg')), ids=lambda f: f.name)
def test_numbers_have_units_and_frames(file):
    above = []
    for line in file.read_text().splitlines():
        if line.startswith('#'):
            above.append(line)
        elif not line.strip():
            above = []
        elif re.match(r'(float|geometry_msgs|std_msgs)', line):
            assert UNITS.search(' '.join(above)), f'{file.name}: {line!r} has no unit or frame'


def test_only_ros_and_nodes_import_rclpy():
    for file in sorted((ROOT / 'manivideo_ros').rglob('*.py')):
        folder = file.relative_to(ROOT / 'manivideo_ros').parts[0]
        if folder in ('ros', 'nodes'):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ''] if isinstance(node, ast.ImportFrom) else []
            assert not any(n.split('.')[0] == 'rclpy' for n in names), file


@pytest.mark.parametrize('file', sorted((ROOT / 'manivideo_ros' / 'nodes').glob('*.py')), ids=str)
def test_nodes_are_thin(file):
    assert len(file.read_text().splitlines()) < 200


def test_missing_tools_are_named(tmp_path):
    check = ROOT / 'cmake' / 'check_tools.sh'
    done = subprocess.run(
        ['/bin/sh', check, 'python9.99'],
        env={'PATH': str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    for package in ('python3', 'make', 'g++'):
        assert f'apt install {package}' in done.stderr
    done = subprocess.run(['/bin/sh', check, sys.executable], capture_output=True, check=False)
    assert done.returncode == 0


def test_the_interfaces_without_ros_are_those_of_ros():
    import json

    from manivideo_ros.messages.types import definition

    for file in sorted((ROOT / 'msg').glob('*.msg')):
        built = Path(sys.prefix) / 'share' / 'manivideo_ros' / 'msg' / f'{file.stem}.json'
        if not built.is_file():
            pytest.skip('the interfaces are not built in this environment')
        hashes = {
            t['type_name']: t['hash_string'] for t in json.loads(built.read_text())['type_hashes']
        }
        name = f'manivideo_ros/msg/{file.stem}'
        assert definition(name)[1] == hashes[name]


@pytest.mark.long
def test_the_interfaces_can_be_built_without_the_package(tmp_path):
    options = ['-DMANIVIDEO_INTERFACES_ONLY=ON', '-DMANIVIDEO_PYTHON_ONLY=ON', '-G', 'Ninja']
    options += [
        f'-DPython3_EXECUTABLE={sys.executable}',
        f'-DCMAKE_INSTALL_PREFIX={tmp_path / "to"}',
    ]
    if 'ROS_DISTRO' not in os.environ:
        options.append(f'-DCMAKE_PROJECT_INCLUDE={ROOT / "cmake" / "wheels.cmake"}')
    source = tmp_path / 'src'  # without .venv, which CMake would take for sources
    for folder in ('msg', 'srv', 'action', 'cmake'):
        shutil.copytree(ROOT / folder, source / folder)
    for file in ('CMakeLists.txt', 'package.xml'):
        shutil.copy(ROOT / file, source)
    env = {**os.environ, 'CMAKE_PREFIX_PATH': os.environ['AMENT_PREFIX_PATH']}
    env['PATH'] = f'{sys.prefix}/bin{os.pathsep}{env["PATH"]}'

    def run(*command):
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run('cmake', '-S', source, '-B', tmp_path / 'build', *options)
    run('cmake', '--build', tmp_path / 'build', '--target', 'install')
    (package,) = tmp_path.glob('to/lib/python*/site-packages/manivideo_ros')
    assert {p.name for p in package.glob('*/__init__.py') if p.parent.name != '__pycache__'}
    assert not (tmp_path / 'to' / 'lib' / 'manivideo_ros').exists()
    assert not (tmp_path / 'to' / 'share' / 'manivideo_ros' / 'launch').exists()
    env['PYTHONPATH'] = str(package.parent)
    env['AMENT_PREFIX_PATH'] = f'{tmp_path / "to"}{os.pathsep}{env["AMENT_PREFIX_PATH"]}'
    code = (
        'import sys, manivideo_ros.action, manivideo_ros.msg, manivideo_ros.srv\n'
        'from rclpy.serialization import serialize_message\n'
        'serialize_message(manivideo_ros.msg.HandPoses())\n'
        "print(manivideo_ros.msg.__file__, 'torch' in sys.modules)"
    )
    file, torch = run(sys.executable, '-c', code).split()
    assert Path(file).is_relative_to(package) and torch == 'False'


TESTED = """SKIPPED [2] test/test_dataset.py:125: needs lerobot
2 failed, 7 passed, 2 skipped in 3.00s
make: *** [Makefile:1: test] Error 1
"""


@pytest.mark.parametrize('root', [True, False])
def test_continuous_integration_lists_what_was_not_tested(root, tmp_path):
    tools = tmp_path / 'bin'
    tools.mkdir()
    for name in ('bash', 'dirname', 'grep', 'mktemp', 'rm', 'sed', 'tail', 'tee', 'timeout'):
        (tools / name).symlink_to(shutil.which(name))
    stubs = {
        'id': f'echo {0 if root else 1000}',
        'make': f'[ "$1" != test ] || {{ cat <<"END"\n{TESTED}END\nexit 2; }}',
        'apt-get': 'echo "E: no mirror answers" >&2; exit 100',
        'python': 'echo "ERROR: no wheel of ray" >&2; exit 1',
        'cat': f'exec {shutil.which("cat")} "$@"',
    }
    (tmp_path / '.ci').mkdir()
    (tmp_path / '.venv' / 'bin').mkdir(parents=True)
    shutil.copy(ROOT / '.ci' / 'run', tmp_path / '.ci' / 'run')
    for name, code in stubs.items():
        file = (tmp_path / '.venv' / 'bin' if name == 'python' else tools) / name
        file.write_text(f'#!{shutil.which("bash")}\n{code}\n')
        file.chmod(0o755)
    done = subprocess.run(
        [shutil.which('bash'), tmp_path / '.ci' / 'run'],
        env={'PATH': str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout.splitlines()
    assert done.returncode == 2, done.stderr
    assert output[-1] == '2 failed, 7 passed, 2 skipped in 3.00s'
    listed = output[output.index('Not tested here, and why:') :]
    assert listed[1].startswith('  Chromium: ')
    assert ('no mirror answers' if root else 'needs root') in listed[1]
    assert listed[2].startswith('  Ray: ') and 'no wheel of ray' in listed[2]
    assert listed[3] == '  test/test_dataset.py:125: needs lerobot'
