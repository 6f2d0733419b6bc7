"""Which inputs lack a part of their gradient because a branch is cut, how much, and where."""

from autograd.check import direction
from autograd.check.cut import TOUCH, Key, Surroundings, bisected, cancel, compare
from autograd.check.program import Program
from autograd.check.report import Row, Verdict
from autograd.value import Value

MOST_ALONE = 128  # runs at most to learn which inputs a cut branch depends on
RESOLVED = 1e-15  # relative error of a reference in decimals, which is rounded to a double
_COARSE = 1e-9  # relative error of a reference that uses central differences of doubles
_MOST_LINES = 3  # lines of a report that tell where branches are cut
_ADVICE = '; if that is intended, pass detached="intended"'


class Cuts:
    """The branches that are cut from a graph, and the inputs that they were computed from.

    A branch is cut if constants of the graph move with the inputs, unless their effects cancel.  It
    is also cut if f and its graph differ in decimals, which show what doubles do not.

    Attributes:
        branches: whether f takes another Python branch on a side of the point.
        detached: the leaves of f's own that move with the inputs, if that is intended.
    """

    def __init__(
        self, around: Surroundings, program: Program, chosen: list[int], intended: bool
    ) -> None:
        self.around, self.program, self.movement = around, program, around.examined()
        moving = self.movement.moving
        self.detached = [key for key in moving if intended and key[1] < 0]
        for key in self.detached:
            del moving[key]
        self.agreed = {} if self.detached else self._agreed()
        self.cut = self._is_cut()
        disagree = not all(self.agreed.values())
        self.branches = bool(self.movement.pieces) or (disagree and not self.cut)
        self.lacking: set[int] = set()
        self.untested: set[int] = set()
        if self.cut:
            self.lacking, self.untested = bisected(chosen, self._moves, MOST_ALONE)

    def _agreed(self) -> dict[int, bool]:
        """Whether f and its graph agree on each side; empty if f refuses decimals."""
        agreed = {sign: direction.agree(self.around, self.program, sign) for sign in (1, -1)}
        return {sign: agree for sign, agree in agreed.items() if agree is not None}

    def _is_cut(self) -> bool:
        movement, agreed = self.movement, self.agreed
        if not movement.moving:
            return bool(agreed) and not any(agreed.values()) and not movement.pieces
        root = self.around.case.recorded.root.data
        unseen = abs(movement.missing) <= direction.smallest_seen(self.program) * abs(root)
        if not agreed or movement.pieces or unseen or (movement.flat and all(agreed.values())):
            return not movement.cancels
        return not all(agreed.values())

    def switches(self, part: list[int]) -> bool:
        """Whether f takes another branch beside the point if only these inputs move."""
        if self.movement.pieces:
            touched = (self.around.recorded(sign * TOUCH, part) for sign in (-1, 1))
            point = self.around.case.recorded
            return any(r is not None and not compare(point, r).same for r in touched)
        return not all(direction.agree(self.around, self.program, s, part) for s in self.agreed)

    def _moves(self, part: list[int]) -> bool:
        """Whether a cut branch moves with these inputs alone."""
        if self.movement.moving and not self.movement.pieces:
            return self.around.moves(part, self.movement)
        # Where f takes another branch, it differs from its graph on that side only.
        return not any(direction.agree(self.around, self.program, s, part) for s in (1, -1))

    def judged(self, row: Row, k: int, slope: float) -> bool:
        """Whether a cut branch decides the verdict on input k; if so, the row gets it."""
        if k in self.untested:
            row.verdict = Verdict.INCONCLUSIVE
            row.note = "a branch that is cut may depend on this input, which was not moved alone"
        if k not in self.lacking:
            return k in self.untested
        missing, size = self._missing(k, slope)
        if self.movement.moving and cancel(missing, size):
            return False
        row.referee, row.error = slope + missing, _COARSE * abs(slope + missing)
        row.verdict = Verdict.FAIL
        places = [place for place in map(self._place, self.movement.moving) if place]
        where = f" at {places[0]}" if places else ""
        lacks = f"{missing:.4g} of the slope is" if missing else "less than a double can show is"
        row.note = f"a branch is cut from the graph{where}: {lacks} missing"
        return True

    def _missing(self, k: int, slope: float) -> tuple[float, float]:
        if self.movement.moving:
            return self.around.missing_in(k, self.movement)
        return direction.slope(self.around, self.program, k) - slope, 0.0

    def blame(self) -> list[str]:
        """A line for each place where a branch is cut."""
        if not self.cut:
            return []
        lines = list(dict.fromkeys(map(self._description, self.movement.moving)))
        if not lines:
            return ["a branch is cut from the graph, which shows in decimals but not in doubles"]
        more = len(lines) - _MOST_LINES
        return lines[:_MOST_LINES] + [f"(and {more} more)"] * (more > 0)

    def culprits(self) -> list[Value]:
        """The nodes where a branch is cut."""
        return list(dict.fromkeys(node for node, _ in self.movement.moving)) if self.cut else []

    def notes(self) -> list[str]:
        """A line for each Value that is cut off on purpose."""
        lines = dict.fromkeys(map(self._place, self.detached))
        return [
            f"the Value created at {line} is cut off from the graph, as intended" for line in lines
        ]

    def _place(self, key: Key) -> str:
        """The line where a branch is cut, or where the Value that is cut off is used."""
        node, _ = key
        users = (user for user in self.program.inner if node in user.parents)
        return node.line or next((user.line for user in users), "")

    def _description(self, key: Key) -> str:
        node, k = key
        place = self._place(key)
        line = f" at {place}" if place else ""
        if k < 0 or node.op is None:
            what = "a Value that the function creates moves with its inputs (detach(), no_grad()?)"
        else:
            what = f"{node.op.name} takes a number that moves with the inputs (.data, float()?)"
        return f"a branch is cut from the graph{line}: {what}" + (_ADVICE if k < 0 else "")
