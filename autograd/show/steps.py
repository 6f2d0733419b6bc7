"""Backpropagation as lines of text: every forward value, then every contribution."""

import sys

from autograd.show.names import variables
from autograd.show.player import play
from autograd.value import Value


def steps(root: Value, number_format: str = ".4g", detail: str = "computed") -> list[str]:
    """The lines of one forward and one backward pass over what `root` was computed from.

    Order and numbers are those of `root.backward()`; no gradient changes.  `detail` is as for
    `play`.

    >>> a = Value(3.0, "a")
    >>> for line in steps(a * a):
    ...     print(line)
    forward
      a = 3
      v1 = a * a = 3 * 3 = 9
    backward
      dL/dv1 = 1
      dL/da += dL/dv1 * a = 1 * 3 = 3
      dL/da += dL/dv1 * a = 1 * 3 = 3, total 6
    """
    return list(play(root, variables(sys._getframe(1)), detail=detail).lines(number_format))
