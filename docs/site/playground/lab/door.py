"""The one function that the page calls, by the names of what it wants."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lab import explained, export, expressions, questions
from lab.cells import Cells
from lab.network import Network
from lab.setting import Setting, choices


class Door:
    """The playground's network, and what can be asked of it."""

    def __init__(self) -> None:
        self.network, self.cells = Network(Setting()), Cells()
        self.calls: dict[str, Callable[..., Any]] = {
            "choices": lambda: {**choices(), "questions": questions.questions()},
            "see": expressions.see,
            "start": self.start,
            "restore": self.restore,
            "turn": lambda rate: self.network.turn(float(rate)),
            "train": lambda seconds, most: self.network.train(seconds, int(most)),
            "shown": lambda: self.network.shown(),
            "rows": lambda seconds: self.network.plane.rows(seconds),
            "explain": lambda name, index: explained.explained(self.network, name, int(index)),
            "measured": lambda: questions.measured(self.network),
            "cell": lambda code: self.cells.run(code),
            "script": lambda: export.script(self.network),
            "notebook": lambda: export.notebook(self.network),
        }

    def start(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """A new network of the setting; if that is not possible, the old one stays."""
        self.network = Network(Setting.read(fields))
        return self.network.described()

    def restore(self, fields: Mapping[str, Any], numbers: list[float]) -> dict[str, Any]:
        """A new network of the setting with these weights, after the worker was started anew."""
        network = Network(Setting.read(fields))
        network.restore(numbers)
        self.network = network
        return network.described()

    def answer(self, name: str, arguments: Sequence[Any] = ()) -> Any:
        """What the page asked for, or {"error": why not}."""
        try:
            return self.calls[name](*arguments)
        except ValueError as error:  # what the user typed
            return {"error": str(error)}
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}


answer = Door().answer
