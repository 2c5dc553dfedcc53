"""The text of other libraries' exceptions, for messages of one line."""

from __future__ import annotations


def reason_of(error: BaseException, longest: int | None = 200) -> str:
    """An exception's text on one line, cut to `longest` characters; its type's name if empty."""
    return ' '.join(str(error).split())[:longest] or type(error).__name__
