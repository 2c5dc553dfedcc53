"""Untrusted YAML, with limits on length, depth and the values behind aliases.

PyYAML alone takes minutes for a few thousand brackets, and nested aliases of a few lines expand to
billions of values when they are copied or printed.
"""

from __future__ import annotations

from typing import Any

import yaml

LARGEST_TEXT = 2**19  # characters
LARGEST = 20_000  # nodes, aliases expanded; PyYAML composes some 15,000 a second
DEEPEST = 64
LONGEST_NUMBER = 400  # characters


class BoundedLoader(yaml.SafeLoader):
    """yaml.SafeLoader that raises yaml.YAMLError for a text beyond the limits."""

    def __init__(self, text: str) -> None:
        if len(text) > LARGEST_TEXT:
            raise yaml.YAMLError(f'is longer than {LARGEST_TEXT} characters')
        super().__init__(text)
        self._depth = self._count = 0
        self._sizes: dict[int, int] = {}  # of complete nodes, by id

    def fetch_flow_collection_start(self, token_class: Any) -> None:
        """Open a bracket or brace, each of which takes time proportional to the depth."""
        if self.flow_level >= DEEPEST:
            raise yaml.YAMLError(f'is nested deeper than {DEEPEST}')
        super().fetch_flow_collection_start(token_class)

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node, or return the one that an alias refers to."""
        self._depth += 1
        self._count += 1
        if self._depth > DEEPEST:
            raise yaml.YAMLError(f'is nested deeper than {DEEPEST}')
        if self._count > LARGEST:
            raise yaml.YAMLError(f'has more than {LARGEST} values')
        aliased = self.check_event(yaml.AliasEvent)
        node: Any = super().compose_node(parent, index)
        self._depth -= 1
        if aliased and id(node) not in self._sizes:
            raise yaml.YAMLError('has an alias inside the value that it refers to')
        if not aliased:
            self._sizes[id(node)] = 1 + sum(self._sizes[id(child)] for child in _children(node))
        if self._sizes[id(node)] > LARGEST:
            raise yaml.YAMLError(f'has more than {LARGEST} values')
        return node


def _short(name: str) -> Any:
    """A constructor of numbers with a limit: it takes time quadratic in the text's length."""
    make = yaml.SafeLoader.yaml_constructors[name]

    def construct(loader: BoundedLoader, node: yaml.ScalarNode) -> Any:
        if len(node.value) > LONGEST_NUMBER:
            raise yaml.YAMLError(f'has a number of more than {LONGEST_NUMBER} characters')
        return make(loader, node)

    return construct


for _name in ('tag:yaml.org,2002:int', 'tag:yaml.org,2002:float'):
    BoundedLoader.add_constructor(_name, _short(_name))


def _children(node: Any) -> list[Any]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def load_yaml(text: str, loader: type[BoundedLoader] = BoundedLoader) -> Any:
    """Load a YAML text. Raises yaml.YAMLError; ValueError for malformed numbers and dates."""
    return yaml.load(text, loader)
