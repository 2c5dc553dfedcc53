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

import yaml


def text_of(value, context):
    """A string, a substitution, or several of them one after the other."""
    if isinstance(value, list | tuple):
        return ''.join(text_of(v, context) for v in value)
    return value if isinstance(value, str) else value.perform(context)


class LaunchConfiguration:
    def __init__(self, name):
        self.name = name

    def perform(self, context):
        return context.arguments[self.name]


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


class IfCondition:
    wanted = True

    def __init__(self, expression):
        self.expression = expression

    def holds(self, context):
        value = text_of(self.expression, context).strip().lower()
        assert value in ('true', 'false', '1', '0'), f'{value!r} is no condition'
        return (value in ('true', '1')) is self.wanted


class UnlessCondition(IfCondition):
    wanted = False


class DeclareLaunchArgument:
    def __init__(self, name, *, default_value=None, description=None):
        self.name, self.default, self.description = name, default_value, description


class Node:
    def __init__(self, *, package, executable, name, namespace='', parameters=(), arguments=(),
                 remappings=(), condition=None, additional_env=None, output='log'):  # fmt: skip
        self.__dict__.update({k: v for k, v in locals().items() if k != 'self'})


class LifecycleNode(Node):
    def __init__(self, *, namespace, **others):
        super().__init__(namespace=namespace, **others)


def LaunchDescription(entities):  # noqa: N802
    return entities


MODULES = {
    'launch': {'LaunchDescription': LaunchDescription},
    'launch.actions': {'DeclareLaunchArgument': DeclareLaunchArgument},
    'launch.conditions': {'IfCondition': IfCondition, 'UnlessCondition': UnlessCondition},
    'launch.substitutions': {
        'LaunchConfiguration': LaunchConfiguration,
        'PathJoinSubstitution': PathJoinSubstitution,
    },
    'launch_ros': {},
    'launch_ros.actions': {'Node': Node, 'LifecycleNode': LifecycleNode},
    'launch_ros.substitutions': {'FindPackageShare': FindPackageShare},
}

SHARED = 'manivideo_ros.ros.launching'  # imports them: anew with every launch file


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
    """Resolves a launch file with arguments (name: text) in an environment, starts its nodes."""

    def __init__(self, file, environment, arguments):
        entities = load(file)
        declared = [e for e in entities if isinstance(e, DeclareLaunchArgument)]
        assert set(arguments) <= {d.name for d in declared}
        self.environment, self.arguments = environment, {}
        for d in declared:
            self.arguments[d.name] = arguments.get(d.name, text_of(d.default, self))
        nodes = [e for e in entities if isinstance(e, Node)]
        self.nodes = [n for n in nodes if n.condition is None or n.condition.holds(self)]
        self.folder = Path(tempfile.mkdtemp(prefix='launch_'))
        self.processes = {}

    def name(self, node):
        """A node's name below the namespace that the whole file is started in."""
        inside = text_of(node.namespace, self).strip('/')
        inside = inside.removeprefix(self.arguments.get('namespace', '').strip('/')).strip('/')
        return f'{inside}/{node.name}' if inside else node.name

    def prefix(self, package):
        for prefix in self.environment['AMENT_PREFIX_PATH'].split(os.pathsep):
            if (Path(prefix) / 'share' / package / 'package.xml').is_file():
                return Path(prefix)
        raise AssertionError(f'package {package} is in no prefix')

    def command(self, node):
        """argv and environment of a node."""
        out = [str(self.prefix(node.package) / 'lib' / node.package / node.executable)]
        out += [text_of(argument, self) for argument in node.arguments]
        out += ['--ros-args', '-r', f'__node:={node.name}']
        if namespace := text_of(node.namespace, self):
            out += ['-r', f'__ns:=/{namespace.strip("/")}']
        for source, target in node.remappings:
            out += ['-r', f'{text_of(source, self)}:={text_of(target, self)}']
        for i, entry in enumerate(node.parameters):
            if isinstance(entry, dict):
                values = {k: yaml.safe_load(text_of(v, self)) for k, v in entry.items()}
                values = {k: '' if v is None else v for k, v in values.items()}
                file = self.folder / f'{self.name(node).replace("/", "_")}_{i}.yaml'
                file.write_text(yaml.safe_dump({'/**': {'ros__parameters': values}}))
            else:
                file = Path(text_of(entry, self))
                assert file.is_file(), f'{file} is not installed'
            out += ['--params-file', str(file)]
        extra = {k: text_of(v, self) for k, v in (node.additional_env or {}).items()}
        return SimpleNamespace(argv=out, env={**self.environment, **extra})

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
