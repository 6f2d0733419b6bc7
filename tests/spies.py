"""What a test keeps of a function while it is recorded."""

from typing import Any


class Spy:
    """Things that a function has shown; they lie too deep for `compile` to see that they change."""

    def __init__(self) -> None:
        self.things: list[Any] = []
        self.named: dict[str, Any] = {}

    def note(self, *things: Any) -> tuple[Any, ...]:
        """The things, which are kept."""
        self.things += things
        return things
