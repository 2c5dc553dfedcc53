"""The option `--hands` of commands that read recordings: what their hands are read from."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from manivideo_ros.files.bounded_yaml import load_yaml
from manivideo_ros.files.errors import reason_of
from manivideo_ros.hand.state import SIDES
from manivideo_ros.motion.sources.hand_messages import SOURCES
from manivideo_ros.motion.sources.hand_parameters import HandSourceParameters
from manivideo_ros.motion.sources.joint_messages import STATES
from manivideo_ros.process.folders import expanded

BY_TOPIC = tuple(SOURCES)
RECORDED = (*BY_TOPIC, 'tf', STATES)
HELP = (
    'what to read hands from in a bag without HandPoses: KIND:TOPIC or KIND:LEFT,RIGHT with a KIND '
    f'of {", ".join(BY_TOPIC)}; or a YAML file of parameters of hand_source, for all others'
)


def parameters_of(text: str) -> HandSourceParameters:
    """The parameters that `--hands` gives: KIND:TOPIC,TOPIC or a YAML file.

    The file has them under `ros__parameters` of a node or of /**, as for the node, or alone.
    Raises ValueError.
    """
    kind, colon, topics = text.partition(':')
    known = {f.name: f for f in fields(HandSourceParameters)}
    if colon and kind in BY_TOPIC:
        named = [topic for topic in topics.split(',') if topic]
        given: dict[str, Any] = {'source': kind, 'topics': named}
        if len(named) == len(SIDES) and not any(s in t.lower() for s in SIDES for t in named):
            given['sides'] = [*SIDES]
    elif Path(text).suffix in ('.yaml', '.yml'):
        given = _of_file(expanded(text))
    else:
        raise ValueError(
            f'--hands {text}: must be KIND:TOPIC or KIND:LEFT,RIGHT with a KIND of '
            f'{", ".join(BY_TOPIC)}, or a YAML file of the parameters of hand_source'
        )
    values = {}
    for name, value in given.items():
        if name not in known:
            raise ValueError(f'--hands {text}: hand_source has no parameter {name}')
        field = known[name]
        default = getattr(HandSourceParameters(), name)
        values[name] = _checked(f'--hands {text}: {name}', value, default)
        choices = field.metadata['choices']
        if choices and value not in choices:
            raise ValueError(
                f'--hands {text}: {name}: {value!r} is not one of {", ".join(choices)}'
            )
    found = HandSourceParameters(**values)
    if found.source not in RECORDED:
        raise ValueError(f'--hands {text}: {found.source} is a plan, which has no recorded poses')
    return found


def _of_file(file: Path) -> dict[str, Any]:
    """The parameters in a YAML file. Raises ValueError."""
    try:
        content = load_yaml(file.read_text())
        for name in ('hand_source', '/hand_source', '/**'):
            content = content.get(name, content)
        content = content.get('ros__parameters', content)
        return dict(content)
    except OSError as error:
        raise ValueError(f'--hands {file}: cannot be read ({error.strerror})') from None
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f'--hands {file}: must be a mapping of parameters of hand_source ({reason_of(error)})'
        ) from None


def _checked(name: str, value: Any, default: Any) -> Any:
    """A value of the default's type. Raises ValueError."""
    if isinstance(default, tuple):
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ValueError(f'{name}: must be a list of names, is {value!r}')
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise ValueError(f'{name}: must be of type {type(default).__name__}, is {value!r}')
    return value


def absolute(name: str) -> str:
    """A topic's name with a slash before it, as bags have it."""
    return '/' + name.lstrip('/')
