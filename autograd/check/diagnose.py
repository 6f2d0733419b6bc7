"""Diagnosis of a claimed gradient: which single mistake in a backward pass gives its numbers."""

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

_MOST = 4_000_000  # visits of nodes in one search: a few seconds
_TRIED = 8  # ratios of claimed and right numbers that are tried as a factor of all gradients
_ALONE = 5  # added to the rank of a mistake that affects only some of the gradients


@dataclass
class Diagnosis:
    """The mistakes that give a claimed gradient; true if the claim is right.

    Attributes:
        explanations: the mistakes that give these numbers, the simplest first.
        wrong: the names of the inputs whose gradients are wrong.
        examples: (name, claimed, right) for each wrong gradient.
        note: why there is no explanation, or why the claim cannot be judged.
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
        """The simplest mistake, in one line; '' if there is no explanation."""
        return self.explanations[0] if self.explanations else ""

    @property
    def mistake(self) -> str:
        """The simplest mistake, assuming the loss is right; a wrong number if no mistake fits."""
        if not self.explanations:
            name, claimed, right = self.examples[0]
            return f"the gradient of {name} is {claimed:.6g} where it should be {right:.6g}"
        own = [text for text in self.explanations if not text.endswith(tensors.OTHER_LOSS)]
        return (own or self.explanations)[0].removesuffix(f"; {tensors.OTHER_LOSS}")

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

    The graph of f is recorded.  Its backward pass is then repeated with each mistake that
    `autograd.faults` can plant, and with each usual mistake of passes written by hand: everywhere,
    in each scope, and on each line.  A mistake that gives all claimed numbers, up to rounding, is
    an explanation.  If none fits, there is no explanation.  Two mistakes at once cannot be
    identified, unless one of them is a plain factor of all gradients.

    Args:
        f: a function of Values that returns a Value.  It gets an array input as an array of Values,
            so its forward pass may use NumPy (`np.tanh(x @ W + b)`).
        inputs: the point of differentiation: numbers in any nesting, or arrays.
        gradient: the claim: a function of the inputs, or numbers or arrays of any library in the
            inputs' nesting, followed by those of the parameters.  For the parameters alone, a dict
            by name.
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
    return diagnosed(claims.read(f, inputs, gradient, parameters))


def mistake(f: Function, inputs: tuple[Tree, ...], gradient: Any, parameters: Any = None) -> str:
    """The diagnosis in one line, for the end of a report; '' if there is no explanation."""
    try:
        return diagnose(f, *inputs, gradient=gradient, parameters=parameters).line
    except Exception:  # f comes from outside and may not accept Values
        return ""


def diagnosed(claim: Claim, first: bool = True) -> Diagnosis:
    """The Diagnosis of a claim whose graph is recorded; `first` also tries a factor beside it."""
    right, sizes = sweep(claim.tape), sweep(claim.tape, sizes=True)
    count = len(claim.numbers)
    if not all(map(math.isfinite, (*right, *sizes))):
        return Diagnosis(note="the gradient is not finite here, so no mistake can be identified")
    wrong = list(claim.differs(right, sizes))
    if not wrong:
        hidden = claim.hidden(right, sizes)
        return Diagnosis(note=f"{hidden}: rounding hides whether it is right" if hidden else "")
    diagnosis = Diagnosis(wrong=called(wrong, claim.names))
    diagnosis.examples = [(claim.names[i], claim.numbers[i], right[i]) for i in wrong]
    if not all(map(math.isfinite, claim.numbers)):
        diagnosis.note = "the claimed gradient is not finite, so no mistake is searched for"
        return diagnosis
    fits = tensors.explanations(claim, right[:count], sizes[:count], wrong)
    fits += _searched(claim, wrong, diagnosis)
    fits.sort(key=lambda fit: (fit.rank, len(fit.text)))
    simplest = {fit.kind or fit.text: fit.text for fit in reversed(fits)}
    once = [fit.text for fit in fits if simplest[fit.kind or fit.text] == fit.text]
    diagnosis.explanations = list(dict.fromkeys(once))
    if fits:
        diagnosis.edges = fits[0].edges
    elif first and (other := _beside_a_factor(claim, right)).explanations:
        diagnosis.explanations, diagnosis.edges = other.explanations, other.edges
    elif not diagnosis.note:
        diagnosis.note = "no single known mistake gives these numbers (there may be two at once)"
    return diagnosis


def _searched(claim: Claim, wrong: list[int], diagnosis: Diagnosis) -> list[Explanation]:
    """The mistakes in a pass that give all claimed numbers, or all of the wrong ones."""
    tape = claim.tape
    bits = sum(1 << i for i in wrong)
    fits, visits = [], 0
    for trial in Mistakes(tape, claim.names, claim.numbers, bits).everywhere(places(tape)):
        visits += len(trial.wrong.partials)
        if bits & ~trial.reached(tape):
            continue
        visits += len(tape.nodes)
        if visits > _MOST:
            diagnosis.note = "the graph is large: not every mistake was tried in every place"
            break
        adjoints = trial.adjoints(tape) if trial.adjoints else sweep(tape, trial.wrong)
        if adjoints is None or not claim.is_near(adjoints, wrong):
            continue
        apart = set(claim.differs(adjoints, sweep(tape, trial.wrong, sizes=True)))
        text, rank = trial.text + trial.where, trial.rank
        if apart and not (trial.partly and len(wrong) > 1 and apart.isdisjoint(wrong)):
            continue
        if apart:  # the claims that differ are right
            text, rank = f"{text}, in the gradient of {diagnosis.wrong} alone", rank + _ALONE
        fits.append(Explanation(text, rank, _edges(tape, trial.wrong), trial.text))
    return fits


def _beside_a_factor(claim: Claim, right: list[float]) -> Diagnosis:
    """The diagnosis of a claim that has a mistake and, in every gradient, the same plain factor."""
    ratios = [c / r for c, r in zip(claim.numbers, right, strict=False) if r]
    ratios.sort()
    for k in ratios[:: max(1, len(ratios) // _TRIED)]:
        nice, words = tensors.in_words(k, tensors.alike(claim)) if k else (False, "")
        if nice and sum(abs(ratio - k) <= tensors.alike(claim) * abs(k) for ratio in ratios) > 1:
            rest = diagnosed(replace(claim, numbers=[c / k for c in claim.numbers]), first=False)
            if rest.explanations:
                rest.explanations = [
                    f"{text}; and every gradient: {words}" for text in rest.explanations
                ]
                return rest
    return Diagnosis()


def _edges(tape: Tape, wrong: Wrong) -> list[tuple[Value, str, float]]:
    """(node, operand, wrong local derivative) for each local derivative that differs."""
    return [
        (tape.nodes[i], "xy"[k], pair[k])
        for i, pair in wrong.partials.items()
        for k in (0, 1)
        if pair[k] != tape.partials[i][k]
    ]
