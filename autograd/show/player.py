"""The player: a cursor over the events of a forward and a backward pass."""

import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from autograd import files
from autograd.elsewhere import did_you_mean
from autograd.operation import Operation
from autograd.order import unfold
from autograd.show.events import Event
from autograd.show.names import names, variables
from autograd.show.shown import Shown
from autograd.value import Value, rows

if TYPE_CHECKING:
    from autograd.show.widget import PlayerWidget


class Player(Sequence[Event]):
    """The events of a forward and a backward pass, and a cursor among them.

    A sequence: `len`, an index, a slice and a loop do not move the cursor; `next`, `back`, `jump`
    and `run` do.  Its text is the table of all events.
    """

    def __init__(self, events: list[Event], root: Value, shown: Shown | None = None) -> None:
        self._events, self.root, self.position = events, root, 0
        self.shown = shown or Shown(root)

    def __len__(self) -> int:
        return len(self._events)

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...
    def __getitem__(self, index: Any) -> Any:
        return self._events[index]

    @property
    def current(self) -> Event:
        """The event at the cursor."""
        return self._events[self.position]

    def next(self, count: int = 1) -> Event:
        """The event `count` steps ahead, or the last; the cursor moves there."""
        self.position = max(0, min(self.position + count, len(self) - 1))
        return self.current

    def back(self, count: int = 1) -> Event:
        """The event `count` steps back, or the first; the cursor moves there."""
        return self.next(-count)

    def jump(self, to: "Event | Value | str | int") -> Event:
        """The event, the first event of a node or a name, or the event at an index.

        The cursor moves there.  Raises ValueError if there is no such event.
        """
        if isinstance(to, int):
            if not -len(self) <= to < len(self):
                raise ValueError(f"jump: expected {-len(self)} to {len(self) - 1}, got {to}")
            self.position = to % len(self)
            return self.current
        for i, event in enumerate(self._events):
            if event is to or event.node is to or event.name == to:
                self.position = i
                return event
        raise ValueError(f"jump: no event has the node or name {to!r:.60}")

    def run(
        self, when: "Callable[[Event], object] | Operation | Value | str | None" = None
    ) -> Event:
        """The next event that `when` describes, or the last; the cursor moves there.

        `when` is a function of the event that returns a truth value; or an operation or its name,
        for events of its nodes; or a node or its name, for events of which it is node or target.

        Raises ValueError for a text that is not the name of a node or an operation.

        >>> w, x = Value(2.0, "w"), Value(3.0, "x")
        >>> print(play((w * x).tanh()).run("w"))
        dL/dw += dL/dv1 * x = 2.458e-05 * 3 = 7.373e-05
        """
        names = set(self[0].names.values()) if isinstance(when, str) else set()
        if isinstance(when, str) and when not in names and when not in rows():
            hint = did_you_mean(when, [*names, *rows()])
            raise ValueError(f"run: no node and no operation has the name {when!r:.60}{hint}")

        def matches(event: Event) -> bool:
            if when is None:
                return False
            if callable(when) and not isinstance(when, Operation):
                return bool(when(event))
            node, target = event.node, event.target
            if when in names:
                return event.name == when or (target is not None and event.names[target] == when)
            if isinstance(when, Value):
                return when is node or when is target
            return node.op is not None and when in (node.op, node.op.name)

        while self.position < len(self) - 1:
            if matches(self.next()):
                break
        return self.current

    def grads(self) -> dict[Value, float]:
        """The gradient of every node after the present event, if it has one."""
        grads: dict[Value, float] = {}
        for event in self._events[: self.position + 1]:
            if event.kind != "forward":
                grads[event.node if event.target is None else event.target] = event.grad
        return grads

    def html(self) -> str:
        """A page that plays the events: one file, no network; see `autograd.show.page`."""
        from autograd.show.page import page  # rarely needed, and slow to import

        return page(self)

    def save(self, path: str | os.PathLike[str]) -> str:
        """Write the page to a file, whole or not at all, and return its path."""
        files.write(path, self.html().encode())
        return str(path)

    def widget(self) -> "PlayerWidget":
        """The page as a notebook widget that Python can follow: see `autograd.show.widget`.

        Needs anywidget: `pip install 'chainrule[notebook]'`.
        """
        from autograd.show.widget import PlayerWidget

        return PlayerWidget(self)

    def _repr_html_(self) -> str:
        from autograd.show.page import frame

        return frame(self)

    def lines(self, number_format: str = ".4g") -> Iterator[str]:
        """The events, a line each, under the headings of the two passes."""
        yield "forward"
        seeded = False
        for event in self._events:
            if event.kind != "forward" and not seeded:
                seeded = True
                yield "backward"
            yield f"  {event.line(number_format)}"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __repr__(self) -> str:
        return f"<Player: {len(self)} events, at {self.position}>"


def play(
    root: Value, scope: Mapping[str, Any] | None = None, *, detail: str = "computed"
) -> Player:
    """A Player of one forward and one backward pass over what `root` was computed from.

    Order and numbers are those of `root.backward()` on leaves whose gradient is 0; the graph does
    not change, and hooks do not run.  A node without a label is named by the caller's variable (or
    in `scope`, a dict of names), or v1, v2, ...  With detail="textbook", an event stands for all
    operations behind a node's `formula`, as in `draw`.

    >>> w, x = Value(2.0, "w"), Value(3.0, "x")
    >>> player = play((w * x).tanh())
    >>> print(player)
    forward
      w = 2
      x = 3
      v1 = w * x = 2 * 3 = 6
      v2 = tanh(v1) = tanh(6) = 1
    backward
      dL/dv2 = 1
      dL/dv1 += dL/dv2 * (1 - v2 * v2) = 1 * (1 - 1 * 1) = 2.458e-05
      dL/dw += dL/dv1 * x = 2.458e-05 * 3 = 7.373e-05
      dL/dx += dL/dv1 * w = 2.458e-05 * 2 = 4.915e-05
    >>> player.run(when=lambda event: event.target is x).grad == player[-1].contribution
    True
    """
    if not isinstance(root, Value):
        raise TypeError(f"play: expected a Value, got {type(root).__name__}")
    unfold(root)
    shown = Shown(root, detail)
    order = shown.order
    caller = variables(sys._getframe(1)) if scope is None and len(order) <= 10_000 else scope
    name = names(order, caller)
    taught = {node: tuple(shown.formula(node)) for node in shown.parts}
    events = [Event("forward", node, names=name, taught=taught.get(node, ())) for node in order]
    grad = dict.fromkeys(order, 0.0)
    grad[root] = 1.0 if root.data == root.data else math.nan
    events.append(Event("seed", root, grad=grad[root], names=name))
    inner = [node for node in order if node.op is not None]
    uses, arrived = dict.fromkeys(order, 0), dict.fromkeys(order, 0)
    for node in inner:
        for parent, _ in shown.operands(node):
            uses[parent] += 1
    for node in reversed(inner):
        g, operands = grad[node], shown.operands(node)
        if not g:
            for parent, _ in operands:
                uses[parent] -= 1  # a gradient of 0 is not passed on
            continue
        amounts, locals_ = shown.amounts(node, g), shown.amounts(node, 1.0)
        for (target, operand), amount, local in zip(operands, amounts, locals_, strict=True):
            grad[target] += amount
            arrived[target] += 1
            events.append(
                Event(
                    "backward", node, operand, target, upstream=g, local=local,
                    contribution=amount, grad=grad[target], arrived=arrived[target],
                    uses=uses[target], names=name, taught=taught.get(node, ()),
                )
            )  # fmt: skip
    return Player(events, root, shown)
