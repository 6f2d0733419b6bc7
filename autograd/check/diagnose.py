"""Which single mistake in a backward pass gives the gradient that somebody claims."""

import html
import math
from dataclasses import dataclass, field, replace
from typing import Any

from autograd.check import claims, tensors
from autograd.check.case import Function
from autograd.check.claims import Claim
from autograd.check.explanation import Explanation
from autograd.check.mistakes import Mistakes
from autograd.check.places import called, places
from autograd.check.replay import Tape, Wrong, sweep
from autograd.nestings import Tree
from autograd.value import Value

_MOST = 4_000_000  # nodes that may be visited: some seconds
_ASKED = 8  # of the ratios of claimed and right numbers, whether they are a factor of all
_ALONE = 5  # added to the rank of a mistake that only some of the gradients have


@dataclass
class Diagnosis:
    """Which mistake gives a claimed gradient; true if the claim is right.

    Attributes:
        explanations: the mistakes that give these numbers, the simplest first.
        wrong: the names of what is wrong.
        examples: (name, claimed, right) of what is wrong.
        note: what else is to be said.
        edges: (node, operand, wrong local derivative) of the first explanation.
    """

    explanations: list[str] = field(default_factory=list)
    wrong: str = ""
    examples: list[tuple[str, float, float]] = field(default_factory=list)
    note: str = ""
    edges: list[tuple[Value, str, float]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.wrong and not self.note

    @property
    def line(self) -> str:
        """The mistake in one line; '' if nothing is claimed to be it."""
        return self.explanations[0] if self.explanations else ""

    def _lines(self) -> list[str]:
        if self:
            return ["the gradient is right"]
        lines = [self.line] if self.explanations else []
        lines += [f"or, with the same numbers: {text}" for text in self.explanations[1:4]]
        if self.wrong:
            lines.append(f"wrong: {self.wrong}")
        lines += [f"  {name}: claimed {c:.6g}, right {r:.6g}" for name, c, r in self.examples[:1]]
        return lines + [self.note] * bool(self.note)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        first, *rest = self._lines()
        return f"<p><b>{html.escape(first)}</b></p>" + "".join(
            f"<p>{html.escape(line)}</p>" for line in rest
        )


def diagnose(f: Function, *inputs: Tree, gradient: Any, parameters: Any = None) -> Diagnosis:
    """A Diagnosis: whether a claimed gradient of f is right, or which mistake gives its numbers.

    The graph of f is recorded, and its backward pass is run with each mistake that
    `autograd.faults` can plant, and with those of passes written by hand: everywhere, in each
    scope, in each line.  What gives all claimed numbers, up to rounding, is an explanation.
    Nothing is claimed where nothing fits.  Two mistakes at once are out of reach, unless one of
    them is a plain factor of everything.

    Args:
        f: a function of Values that returns one.  An input that is an array is given to it as an
            array of Values, so that a forward pass in NumPy (`np.tanh(x @ W + b)`) can be used.
        inputs: where: numbers in any nesting, or arrays.
        gradient: what is claimed: a function of the inputs, or numbers or arrays of any library in
            the inputs' nesting; then the parameters' or, of these alone, a dict by name.
        parameters: Values that f closes over: a module, a dict by name, or a list.

    Raises TypeError if f does not return a Value, ValueError if the claim has too many or too few
    numbers.

    >>> def f(w, x):
    ...     return (w * x).tanh() * x
    >>> from autograd import grad, tanh
    >>> print(diagnose(f, 0.5, 2.0, gradient=grad(f, argnums=(0, 1))))
    the gradient is right
    >>> def by_hand(w, x):
    ...     s = w * x
    ...     return (1 - s * s) * x * x, (1 - s * s) * w * x + tanh(s)
    >>> diagnose(f, 0.3, 2.0, gradient=by_hand).line
    'tanh: dz/dx is 1 - x * x where it should be 1 - z * z'
    """
    return _diagnosed(claims.read(f, inputs, gradient, parameters))


def mistake(f: Function, inputs: tuple[Tree, ...], gradient: Any, parameters: Any = None) -> str:
    """The line of the diagnosis, for the end of a report; '' if there is nothing to say."""
    try:
        return diagnose(f, *inputs, gradient=gradient, parameters=parameters).line
    except Exception:  # somebody else's f, which may not be made for Values
        return ""


def _diagnosed(claim: Claim, first: bool = True) -> Diagnosis:
    right, sizes = sweep(claim.tape), sweep(claim.tape, sizes=True)
    count = len(claim.numbers)
    if not all(map(math.isfinite, (*right, *sizes))):
        return Diagnosis(note="the gradient is not finite here: no mistake can be told")
    wrong = list(claim.differs(right, sizes))
    if not wrong:
        hidden = claim.hidden(right, sizes)
        return Diagnosis(note=f"{hidden}: rounding hides whether it is right" if hidden else "")
    found = Diagnosis(wrong=called(wrong, claim.names))
    found.examples = [(claim.names[i], claim.numbers[i], right[i]) for i in wrong]
    if not all(map(math.isfinite, claim.numbers)):
        found.note = "the claim is not finite: no mistake is looked for"
        return found
    fits = tensors.explanations(claim, right[:count], sizes[:count], wrong)
    fits += _searched(claim, wrong, found)
    fits.sort(key=lambda one: (one.rank, len(one.text)))
    simplest = {one.kind or one.text: one.text for one in reversed(fits)}
    once = [one.text for one in fits if simplest[one.kind or one.text] == one.text]
    found.explanations = list(dict.fromkeys(once))
    if fits:
        found.edges = fits[0].edges
    elif first and (other := _beside_a_factor(claim, right)).explanations:
        found.explanations, found.edges = other.explanations, other.edges
    elif not found.note:
        found.note = "no single mistake that is known gives these numbers (it may be two at once)"
    return found


def _searched(claim: Claim, wrong: list[int], found: Diagnosis) -> list[Explanation]:
    """The mistakes of a pass that give the claim, or give those of its numbers that are wrong."""
    tape = claim.tape
    bits = sum(1 << i for i in wrong)
    fits, visits = [], 0
    for one in Mistakes(tape, claim.names, claim.numbers, bits).everywhere(places(tape)):
        visits += len(one.wrong.partials)
        if bits & ~one.reached(tape):
            continue
        visits += len(tape.nodes)
        if visits > _MOST:
            found.note = "the graph is large: not every mistake was tried in every place"
            break
        given = one.adjoints(tape) if one.adjoints else sweep(tape, one.wrong)
        if given is None or not claim.is_near(given, wrong):
            continue
        apart = set(claim.differs(given, sweep(tape, one.wrong, sizes=True)))
        text, rank = one.text + one.where, one.rank
        if apart and not (one.partly and len(wrong) > 1 and apart.isdisjoint(wrong)):
            continue
        if apart:  # those are as they should be
            text, rank = f"{text}, in the gradient of {found.wrong} alone", rank + _ALONE
        fits.append(Explanation(text, rank, _edges(tape, one.wrong), one.text))
    return fits


def _beside_a_factor(claim: Claim, right: list[float]) -> Diagnosis:
    """The diagnosis of a claim in which every gradient is a plain multiple, too."""
    ratios = [c / r for c, r in zip(claim.numbers, right, strict=False) if r]
    ratios.sort()
    for k in ratios[:: max(1, len(ratios) // _ASKED)]:
        nice, words = tensors.in_words(k, tensors.alike(claim)) if k else (False, "")
        if nice and sum(abs(one - k) <= tensors.alike(claim) * abs(k) for one in ratios) > 1:
            found = _diagnosed(replace(claim, numbers=[c / k for c in claim.numbers]), first=False)
            if found.explanations:
                found.explanations = [
                    f"{text}; and every gradient: {words}" for text in found.explanations
                ]
                return found
    return Diagnosis()


def _edges(tape: Tape, wrong: Wrong) -> list[tuple[Value, str, float]]:
    """The local derivatives that are otherwise, with their nodes."""
    return [
        (tape.nodes[i], "xy"[k], pair[k])
        for i, pair in wrong.partials.items()
        for k in (0, 1)
        if pair[k] != tape.partials[i][k]
    ]
