"""What a check found, a line each: where, what, and what to do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

SHOWN = 3  # of one kind in one file


@dataclass
class Findings:
    """Lines of errors and warnings, in the order in which they were found.

    Of each kind in a file the first SHOWN are kept, the others counted.
    """

    lines: list[tuple[str, str]] = field(default_factory=list)
    _kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    _more: dict[tuple[str, str], int] = field(default_factory=dict)

    def error(self, where: str, what: str, todo: str, kind: str = '') -> None:
        """Note an error; kind: of those that are counted together, '' for what alone."""
        self._add('error', where, what, todo, kind)

    def warning(self, where: str, what: str, todo: str, kind: str = '') -> None:
        """Note what may be meant."""
        self._add('warning', where, what, todo, kind)

    @property
    def errors(self) -> int:
        """The number of errors."""
        return self._count('error')

    @property
    def warnings(self) -> int:
        """The number of warnings."""
        return self._count('warning')

    def text(self) -> list[str]:
        """The lines that are shown."""
        out = [f'{level}: {line}' for level, line in self.lines]
        return out + [
            f'{kind[0].split("|")[0]}: {kind[1]}: {more} more of this kind'
            for kind, more in self._more.items()
        ]

    def _add(self, level: str, where: str, what: str, todo: str, kind: str) -> None:
        key = (f'{level}|{kind or what}', where.split(',')[0])
        self._kinds[key] += 1
        if self._kinds[key] > SHOWN:
            self._more[key] = self._more.get(key, 0) + 1
            return
        self.lines.append((level, f'{where}: {what}: {todo}'))

    def _count(self, level: str) -> int:
        return sum(count for (kind, _), count in self._kinds.items() if kind.startswith(level))
