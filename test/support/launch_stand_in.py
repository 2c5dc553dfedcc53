"""The few classes that our launch files use, for machines where `launch` cannot be installed.

`load` executes an unmodified launch file with these classes in place of the real ones; `Launch`
resolves it as `ros2 launch` does and starts its nodes.
"""

import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

from ament_index_python.packages import PackageNotFoundError

OTHER_MAKERS = ('rviz2', 'foxglove_bridge', 'image_transport')


def text_of(value, context):
    """A string, a substitution, or several of them one after the other."""
    if isinstance(value, list | tuple):
        return ''.join(text_of(v, context) for v in value)
    return value if isinstance(value, str) else value.perform(context)


class LaunchConfiguration:
    def __init__(self, name):
        self.name = name

    def perform(self, context):
        return context.launch_configurations[self.name]


class PathJoinSubstitution:
    def __init__(self, parts):
        self.parts = parts

    def perform(self, context):
        return os.path.join(*(text_of(part, context) for part in self.parts))


class FindPackageShare:
    def __init__(self, package):
        self.package = package

    def perform(self, context):
        return str(context.prefix(self.package) / 'share' / self.package)


class DeclareLaunchArgument:
    def __init__(self, name, *, default_value=None, description=None):
        self.name, self.default, self.description = name, default_value, description


class OpaqueFunction:
    def __init__(self, *, function):
        self.function = function


class LogInfo:
    def __init__(self, *, msg):
        self.msg = msg


class Node:
    def __init__(self, *, package, executable, name='', namespace='', parameters=(), arguments=(),
                 ros_arguments=(), remappings=(), additional_env=None, output='log',
                 respawn=False, respawn_delay=None):  # fmt: skip
        self.__dict__.update({k: v for k, v in locals().items() if k != 'self'})


class LifecycleNode(Node):
    def __init__(self, *, namespace, **others):
        super().__init__(namespace=namespace, **others)


def LaunchDescription(entities):  # noqa: N802
    return entities


MODULES = {
    'launch': {'LaunchDescription': LaunchDescription},
    'launch.actions': {
        'DeclareLaunchArgument': DeclareLaunchArgument,
        'LogInfo': LogInfo,
        'OpaqueFunction': OpaqueFunction,
    },
    'launch.substitutions': {
        'LaunchConfiguration': LaunchConfiguration,
        'PathJoinSubstitution': PathJoinSubstitution,
    },
    'launch_ros': {},
    'launch_ros.actions': {'Node': Node, 'LifecycleNode': LifecycleNode},
    'launch_ros.substitutions': {'FindPackageShare': FindPackageShare},
}

SHARED = 'manivideo_ros.ros.launch.launching'  # imports them: again with every launch file


def load(file):
    """The entities of an unmodified launch file."""
    kept = {name: sys.modules.pop(name, None) for name in (*MODULES, SHARED)}
    try:
        for name, content in MODULES.items():
            sys.modules[name] = ModuleType(name)
            vars(sys.modules[name]).update(content)
        return runpy.run_path(str(file))['generate_launch_description']()
    finally:
        for name, module in kept.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


class Launch:
    """Resolves a launch file with arguments (name: text) in an environment, starts its nodes.

    installed: the packages of other makers that are taken to be there. notes: what is logged.
    """

    def __init__(self, file, environment, arguments, installed=OTHER_MAKERS):
        entities = load(file)
        self.environment, self.installed = environment, installed
        self.argv = [f'{name}:={text}' for name, text in arguments.items()]
        self.locals = SimpleNamespace(current_launch_file_path=str(file))
        self.launch_configurations = dict(arguments)
        for entity in entities:
            if isinstance(entity, DeclareLaunchArgument):
                default = text_of(entity.default, self)
                self.launch_configurations.setdefault(entity.name, default)
        functions = (e for e in entities if isinstance(e, OpaqueFunction))
        started = [action for f in functions for action in f.function(self)]
        self.nodes = [action for action in started if isinstance(action, Node)]
        self.notes = [action.msg for action in started if isinstance(action, LogInfo)]
        self.folder = Path(tempfile.mkdtemp(prefix='launch_'))
        self.processes = {}

    def perform_substitution(self, substitution):
        return text_of(substitution, self)

    def name(self, node):
        """A node's name below the namespace that the whole file is started in."""
        inside = text_of(node.namespace, self).strip('/')
        outer = self.launch_configurations.get('namespace', '').strip('/')
        inside = inside.removeprefix(outer).strip('/')
        return f'{inside}/{node.name}' if inside else node.name

    def prefix(self, package):
        for prefix in self.environment['AMENT_PREFIX_PATH'].split(os.pathsep):
            if (Path(prefix) / 'share' / package / 'package.xml').is_file():
                return Path(prefix)
        if package in self.installed:
            return Path('/opt/others')
        raise PackageNotFoundError(package)

    def command(self, node):
        """argv and environment of a node."""
        out = [str(self.prefix(node.package) / 'lib' / node.package / node.executable)]
        out += [text_of(argument, self) for argument in node.arguments]
        out += ['--ros-args', *node.ros_arguments, '-r', f'__node:={node.name}']
        if namespace := text_of(node.namespace, self):
            out += ['-r', f'__ns:=/{namespace.strip("/")}']
        for file in node.parameters:
            assert Path(file).is_file(), f'{file} is not installed'
            out += ['--params-file', file]
        for source, target in node.remappings:
            out += ['-r', f'{text_of(source, self)}:={text_of(target, self)}']
        return SimpleNamespace(argv=out, env={**self.environment, **(node.additional_env or {})})

    def start(self):
        for node in self.nodes:
            command, name = self.command(node), self.name(node)
            log = (self.folder / f'{name.replace("/", "_")}.log').open('w')
            self.processes[name] = subprocess.Popen(
                command.argv, env=command.env, stdout=log, stderr=subprocess.STDOUT
            )

    def log(self, name):
        return (self.folder / f'{name.replace("/", "_")}.log').read_text()

    def stop(self):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
