"""What is cut from the graph: which inputs lack a part of their gradient, how much, and where."""

from autograd.check import direction
from autograd.check.cut import TOUCH, Key, Surroundings, cancel, lay, touching
from autograd.check.program import Program
from autograd.check.report import Row, Verdict
from autograd.value import Value

MOST_ALONE = 128  # runs with some inputs moved, at most, to see which of them a branch depends on
RESOLVED = 1e-15  # of a reference in decimals, relatively: it is shown as a double
_COARSE = 1e-9  # of one that rests on central differences of doubles
_MOST_LINES = 3  # of a report, on where branches are cut
_MEANT = '; if it is meant, say so by detached="intended"'


class Cuts:
    """The branches that are cut from a graph, and the inputs that they were computed from.

    A branch is cut if a constant of the graph moves with the inputs, unless all of them cancel, or
    if f and its graph, both on decimals, are different numbers: that sees what doubles do not.

    Attributes:
        branches: whether f takes another branch of Python's on a side of the point.
        meant: the Values of f's own that move with the inputs, where that is intended.
    """

    def __init__(
        self, around: Surroundings, program: Program, chosen: list[int], intended: bool
    ) -> None:
        self.around, self.program, self.beside = around, program, around.examined()
        moving = self.beside.moving
        self.meant = [key for key in moving if intended and key[1] < 0]
        for key in self.meant:
            del moving[key]
        self.agreed = {} if self.meant else self._agreed()
        self.cut = self._is_cut()
        disagree = not all(self.agreed.values())
        self.branches = bool(self.beside.pieces) or (disagree and not self.cut)
        self.lacking: set[int] = set()
        self.unasked: set[int] = set()
        if self.cut:
            self.lacking, self.unasked = touching(chosen, self._moves, MOST_ALONE)

    def _agreed(self) -> dict[int, bool]:
        """Whether f and its graph agree on each side; empty where f refuses decimals."""
        said = {sign: direction.agree(self.around, self.program, sign) for sign in (1, -1)}
        return {sign: agree for sign, agree in said.items() if agree is not None}

    def _is_cut(self) -> bool:
        beside, agreed = self.beside, self.agreed
        if not beside.moving:
            return bool(agreed) and not any(agreed.values()) and not beside.pieces
        root = self.around.case.recorded.root.data
        unseen = abs(beside.missing) <= direction.least_seen(self.program) * abs(root)
        if not agreed or beside.pieces or unseen or (beside.flat and all(agreed.values())):
            return not beside.cancels
        return not all(agreed.values())

    def switches(self, part: list[int]) -> bool:
        """Whether f takes another branch beside the point where these inputs alone are moved."""
        if self.beside.pieces:
            touched = (self.around.recorded(sign * TOUCH, part) for sign in (-1, 1))
            point = self.around.case.recorded
            return any(r is not None and not lay(point, r).same for r in touched)
        return not all(direction.agree(self.around, self.program, s, part) for s in self.agreed)

    def _moves(self, part: list[int]) -> bool:
        """Whether what is cut moves with these inputs alone."""
        if self.beside.moving and not self.beside.pieces:
            return self.around.moves(part, self.beside)
        # Where f switches to another branch, it differs from its graph on that side alone.
        return not any(direction.agree(self.around, self.program, s, part) for s in (1, -1))

    def judged(self, row: Row, k: int, slope: float) -> bool:
        """Whether the gradient in input k lacks something, and the row says so."""
        if k in self.unasked:
            row.verdict = Verdict.INCONCLUSIVE
            row.note = (
                "a branch is cut from the graph, perhaps this input's: it was not moved alone"
            )
        if k not in self.lacking:
            return k in self.unasked
        missing, size = self._missing(k, slope)
        if self.beside.moving and cancel(missing, size):
            return False
        row.referee, row.error = slope + missing, _COARSE * abs(slope + missing)
        row.verdict = Verdict.FAIL
        places = [place for place in map(self._place, self.beside.moving) if place]
        where = f" at {places[0]}" if places else ""
        lacks = f"{missing:.4g} of the slope is" if missing else "less than a double shows is"
        row.note = f"a branch is cut from the graph{where}: {lacks} missing"
        return True

    def _missing(self, k: int, slope: float) -> tuple[float, float]:
        if self.beside.moving:
            return self.around.missing_in(k, self.beside)
        return direction.slope(self.around, self.program, k) - slope, 0.0

    def blame(self) -> list[str]:
        """A line for each place where a branch is cut."""
        if not self.cut:
            return []
        lines = list(dict.fromkeys(map(self._told, self.beside.moving)))
        if not lines:
            return ["a branch is cut from the graph: doubles do not show it, decimals do"]
        more = len(lines) - _MOST_LINES
        return lines[:_MOST_LINES] + [f"(and {more} more)"] * (more > 0)

    def culprits(self) -> list[Value]:
        """The nodes at these places."""
        return list(dict.fromkeys(node for node, _ in self.beside.moving)) if self.cut else []

    def notes(self) -> list[str]:
        """A line for each Value that is cut off and is meant to be."""
        places = dict.fromkeys(map(self._place, self.meant))
        return [
            f"the Value made at {place} is cut off from the graph, as intended" for place in places
        ]

    def _place(self, key: Key) -> str:
        """The line where a branch is cut, or where what is cut off is used."""
        node, _ = key
        users = (user for user in self.program.inner if node in user.parents)
        return node.line or next((user.line for user in users), "")

    def _told(self, key: Key) -> str:
        node, k = key
        place = self._place(key)
        line = f" at {place}" if place else ""
        if k < 0 or node.op is None:
            what = "a Value that the function makes moves with its inputs (detach(), no_grad()?)"
        else:
            what = f"{node.op.name} takes a number that moves with the inputs (.data, float()?)"
        return f"a branch is cut from the graph{line}: {what}" + (_MEANT if k < 0 else "")
