"""Old names that still work for one release."""


def renamed(old: str, new: str) -> str:
    """The warning where an old name is used."""
    return f'{old} is now called {new}: the old name is accepted in this release only'
