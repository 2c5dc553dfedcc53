"""What an error that others raised says, as our own one-line messages repeat it."""

from __future__ import annotations


def reason_of(error: BaseException) -> str:
    """Its text on one line and not at any length; its type's name where it says nothing."""
    return ' '.join(str(error).split())[:200] or type(error).__name__
