"""Old names that still work for one release."""

import argparse
import warnings
from typing import Any


def renamed(old: str, new: str) -> str:
    """The warning where an old name is used."""
    return f'{old} is now called {new}: the old name is accepted in this release only'


class RenamedOption(argparse.Action):
    """An option under its old name: sets the present one (dest), with a warning."""

    def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
        super().__init__(
            option_strings, dest, default=argparse.SUPPRESS, help=argparse.SUPPRESS, **options
        )

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Set the value under the present name."""
        new = f'--{self.dest.replace("_", "-")}'
        warnings.warn(renamed(self.option_strings[0], new), stacklevel=2)
        setattr(namespace, self.dest, values)
