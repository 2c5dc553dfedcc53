"""Draws docs/media/architecture.svg: the packages and modules, their purpose and their imports.

    python -m tools.architecture

A package is drawn above everything that it imports. Arrows are imports that no longer path implies.
"""

from __future__ import annotations

import ast
import sys
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'manivideo_ros'
OUT = ROOT / 'docs' / 'media' / 'architecture.svg'
GENERATED = {'msg', 'srv', 'action', 'assets'}
WIDTH, BOX, GAP, ROW = 1120, 48, 14, 92  # pixels
LETTER = 6.1  # mean width of a letter of the 11 px font


def packages() -> dict[str, set[str]]:
    """The subpackages and modules at the top of the package, with those that each imports."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    names = {
        module.split('.')[1] for module in graph.modules if module.count('.') and module != PACKAGE
    } - GENERATED
    imports: dict[str, set[str]] = {name: set() for name in names}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            if module.count('.') and imported.count('.'):
                here, there = module.split('.')[1], imported.split('.')[1]
                if here != there and {here, there} <= names:
                    imports[here].add(there)
    return imports


def levels(imports: dict[str, set[str]]) -> list[list[str]]:
    """Packages by level, lowest first; a level is one above the highest that is imported.

    Raises ValueError if packages import each other in a cycle.
    """
    level: dict[str, int] = {}
    while len(level) < len(imports):
        ready = [n for n in sorted(imports) if n not in level and imports[n] <= level.keys()]
        if not ready:
            raise ValueError(f'import cycle: {", ".join(sorted(imports.keys() - level))}')
        for name in ready:
            level[name] = 1 + max((level[other] for other in imports[name]), default=-1)
    return [[n for n in sorted(level) if level[n] == k] for k in range(1 + max(level.values()))]


def reduced(imports: dict[str, set[str]]) -> set[tuple[str, str]]:
    """The transitive reduction of the imports, as pairs (importer, imported)."""

    def below(name: str) -> set[str]:
        return imports[name].union(*(below(other) for other in imports[name]))

    return {
        (name, other)
        for name, others in imports.items()
        for other in others
        if not any(other in below(between) for between in others - {other})
    }


def purpose(name: str) -> str:
    """The first line of a package's or module's docstring."""
    folder = ROOT / PACKAGE / name
    file = folder / '__init__.py' if folder.is_dir() else folder.with_suffix('.py')
    return (ast.get_docstring(ast.parse(file.read_text())) or '').split('\n')[0].replace('`', '')


def drawing() -> str:
    """The drawing as SVG."""
    imports = packages()
    rows = levels(imports)[::-1]
    boxes: dict[str, tuple[float, float, float]] = {}  # left, top, width
    for index, row in enumerate(rows):
        width = (WIDTH - GAP * (len(row) + 1)) / len(row)
        width = min(width, 380)
        left = (WIDTH - len(row) * width - GAP * (len(row) - 1)) / 2
        for column, name in enumerate(row):
            boxes[name] = left + column * (width + GAP), 16 + index * ROW, width
    height = 16 + len(rows) * ROW
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        '<g fill="none" stroke="#8a97a8" stroke-width="1.2">',
    ]
    for name, other in sorted(reduced(imports)):
        (x0, y0, w0), (x1, y1, w1) = boxes[name], boxes[other]
        start, end = (x0 + w0 / 2, y0 + BOX), (x1 + w1 / 2, y1)
        bend = (end[1] - start[1]) / 2
        out.append(
            f'<path d="M{start[0]:.0f} {start[1]:.0f} C{start[0]:.0f} {start[1] + bend:.0f} '
            f'{end[0]:.0f} {end[1] - bend:.0f} {end[0]:.0f} {end[1]:.0f}"/>'
        )
    out.append('</g>')
    for name, (left, top, width) in boxes.items():
        out.append(
            f'<rect x="{left:.0f}" y="{top}" width="{width:.0f}" height="{BOX}" rx="5" '
            'fill="#eef3f9" stroke="#4a6785"/>'
            f'<text x="{left + 8:.0f}" y="{top + 15}" font-weight="bold">{escape(name)}</text>'
        )
        for number, line in enumerate(wrapped(purpose(name), width - 14)[:2]):
            out.append(
                f'<text x="{left + 8:.0f}" y="{top + 29 + 13 * number}" fill="#333">'
                f'{escape(line)}</text>'
            )
    return '\n'.join([*out, '</svg>', ''])


def wrapped(text: str, width: float) -> list[str]:
    """A text in lines of a width in pixels; the second ends with … if there are more."""
    lines, line = [], ''
    for word in text.split():
        if line and LETTER * len(f'{line} {word}') > width:
            lines.append(line)
            line = ''
        line = f'{line} {word}'.strip()
    lines.append(line)
    if len(lines) > 2:
        lines[1] = f'{lines[1]} …'
    return lines


def main() -> int:
    """Write the drawing."""
    OUT.write_text(drawing())
    print(OUT.relative_to(ROOT))
    return 0


if __name__ == '__main__':
    sys.exit(main())
