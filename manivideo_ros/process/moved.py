"""Modules under their names of release 0.1, which still work for one release.

Only those that other packages had reason to import: readers, files, types and the core.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from manivideo_ros.process.renamed import renamed

PACKAGE = 'manivideo_ros'
# Old name: the modules that its names are in now.
MOVED = {
    'blending': ('hand.interpolation',),
    'demo': ('commands.demo',),
    'hand.inert_pickle': ('files.inert_pickle',),
    'lens': ('camera.lens',),
    'mlo.drawing': ('drawing.drawing',),
    'mlo.painted': ('drawing.base_image',),
    'mlo.skeleton': ('drawing.skeleton',),
    'mlo.views': ('drawing.views',),
    'model.network': ('model.patch.network',),
    'objects.shapes': ('objects.household.shapes',),
    'processes': ('process.node_processes',),
    'recording.bag': ('bags.bag',),
    'recording.messages': ('messages.types',),
    'recording.pictures': ('messages.images', 'messages.types'),
    'recording.provenance': ('bags.provenance',),
    'recording.repair': ('bags.repair',),
    'references': ('camera.background', 'hand.reference', 'files.image_file'),
    'render': ('commands.render',),
    'ros.conversion': ('messages.read', 'messages.build', 'ros.rate_limit'),
    'ros.hand_intake': ('motion.sources.hand_intake',),
    'ros.intake': ('ros.stream.pose_intake',),
    'ros.object_intake': ('ros.sources.object_intake',),
    'shipped': ('motion.shipped',),
    'tracking': ('motion.pose_buffer',),
    'viewing': ('camera.viewing',),
}


class _Moved(ModuleType):
    """A module whose names are those of others."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):  # such as __path__, by which packages are known
            raise AttributeError(name)
        for target in MOVED[self.__name__.removeprefix(f'{PACKAGE}.')]:
            module = import_module(f'{PACKAGE}.{target}')
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(f'{self.__name__} has no {name}')


class _Finder(MetaPathFinder, Loader):
    """Finds what nothing else finds: it stands last."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A spec for the old name of a module."""
        old = fullname.removeprefix(f'{PACKAGE}.')
        return ModuleSpec(fullname, self) if old in MOVED and old != fullname else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module, with a warning that names the new one."""
        new = ', '.join(f'{PACKAGE}.{t}' for t in MOVED[spec.name.removeprefix(f'{PACKAGE}.')])
        warnings.warn(renamed(spec.name, new), DeprecationWarning, stacklevel=2)
        return _Moved(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is run: names are looked up when they are asked for."""


def install() -> None:
    """Accept the old names, once a process."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
