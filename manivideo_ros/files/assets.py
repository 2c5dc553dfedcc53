"""The folder of the files that ship inside the package."""

from pathlib import Path

ASSETS = Path(__file__).resolve().parents[1] / 'assets'
