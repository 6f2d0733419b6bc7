"""The report of a check of backward passes that another library's user wrote."""

import html
from dataclasses import dataclass, field

SINGLY = "it is right to single precision only"


@dataclass(frozen=True)
class Fault:
    """A backward pass that is wrong.

    Attributes:
        place: where it is, such as "in module fc2".
        rule: the name of the rule, such as the class of an autograd.Function; "" if unknown.
        mistake: the mistake, such as "tanh: dz/dx is 1 - x * x where it should be 1 - z * z".
    """

    place: str
    rule: str
    mistake: str

    def __str__(self) -> str:
        rule = f" ({self.rule})" if self.rule else ""
        return f"{self.mistake}, {self.place}{rule}"


@dataclass(frozen=True, repr=False)
class RuleReport:
    """The backward passes that are wrong; true if all are right.  Notes may say more."""

    faults: list[Fault] = field(default_factory=list)
    note: str = ""

    def __bool__(self) -> bool:
        return not self.faults

    def _lines(self) -> list[str]:
        lines = list(map(str, self.faults)) or ["the backward pass is right"]
        return [*lines, self.note] if self.note else lines

    def __str__(self) -> str:
        return "\n".join(self._lines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "".join(f"<p>{html.escape(line)}</p>" for line in self._lines())
