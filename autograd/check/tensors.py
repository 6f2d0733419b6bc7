"""Mistakes in whole gradients of weights and biases: a factor, an order, a sum, a lost use."""

import math
from collections.abc import Callable, Iterator

from autograd.check.claims import ROUNDINGS, Claim
from autograd.check.explanation import Explanation
from autograd.check.places import called, tensors
from autograd.check.replay import sweep
from autograd.check.shapes import SEVERAL

# Ranks beside those of mistakes in the pass: a plain factor of the loss comes first.
_FACTOR, _WHOLE, _ADDED, _LOST, _ODD = -2, -1, 5, 19, 60
_FEW_USES = 64  # of one number, to be asked one by one
_LARGEST = 1000  # among larger whole numbers one is always near
_NICE = 1e-9  # relatively, a factor that is a whole number, or one over it


def explanations(
    claim: Claim, right: list[float], sizes: list[float], wrong: list[int]
) -> list[Explanation]:
    """What may be wrong with whole gradients, or with all of them."""
    where = called(wrong, claim.names)
    found = list(_factor(claim, right, sizes, wrong, where))
    found += _added(claim, right, sizes, wrong, where)
    for stars in (1, 2, 3):
        parts = [
            members
            for members in tensors(claim.names, stars).values()
            if not set(members).isdisjoint(wrong)
        ]
        whole = sorted(i for members in parts for i in members)
        where = called(whole, claim.names)
        if min(map(len, parts)) < 2:
            continue
        for text, made in _orders(parts):
            if _is(claim, _each(parts, right, made), _each(parts, sizes, made)):
                found.append(Explanation(f"{where}: {text}", _WHOLE))
        found += _uses(claim, dict(zip(whole, (sizes[i] for i in whole), strict=True)), where)
    return found


def _is(claim: Claim, numbers: dict[int, float], sizes: dict[int, float]) -> bool:
    """Whether these numbers are the claimed ones, up to rounding."""
    bound = ROUNDINGS * claim.unit
    return all(abs(claim.numbers[i] - one) <= bound * sizes[i] for i, one in numbers.items())


def _factor(
    claim: Claim, right: list[float], sizes: list[float], wrong: list[int], where: str
) -> Iterator[Explanation]:
    """One factor of all that is wrong."""
    largest = max(wrong, key=lambda i: abs(right[i]))
    if not right[largest]:
        return
    k = claim.numbers[largest] / right[largest]
    bound = ROUNDINGS * claim.unit * 2 * (abs(k) + 1)
    if any(abs(claim.numbers[i] - k * right[i]) > bound * sizes[i] for i in wrong):
        return
    nice, words = in_words(k, alike(claim))
    if len(wrong) == 1 and not nice:
        return  # any wrong number is some multiple of the right one
    rest = set(range(len(right))) - set(wrong)
    if any(right[i] for i in rest):
        yield Explanation(f"{where}: {words}", _WHOLE if nice else _ODD)
    else:
        text = f"every gradient: {words}; the loss is another by this factor"
        yield Explanation(text, _FACTOR if nice else _ODD)


def _added(
    claim: Claim, right: list[float], sizes: list[float], wrong: list[int], where: str
) -> Iterator[Explanation]:
    """A multiple of the parameters themselves is added; or what is large is clipped."""
    data = [node.data for node in claim.tape.nodes]
    largest = max(wrong, key=lambda i: abs(data[i]))
    if len(wrong) >= SEVERAL and data[largest]:
        k = (claim.numbers[largest] - right[largest]) / data[largest]
        wide = {i: sizes[i] + abs(k * data[i]) for i in wrong}
        if _is(claim, {i: right[i] + k * data[i] for i in wrong}, wide):
            text = (
                f"{where}: {k:.6g} times the number itself is added, a decay that f does not have"
            )
            yield Explanation(text, _ADDED)
    most = abs(claim.numbers[wrong[0]])
    clipped = {i: max(-most, min(most, right[i])) for i in range(len(right))}
    if len(wrong) >= SEVERAL and _is(claim, clipped, dict(enumerate(sizes))):
        yield Explanation(f"what is larger than {most:.6g} is clipped to it", _WHOLE)


def alike(claim: Claim) -> float:
    """How far apart, relatively, a factor and a whole number may be to be the same."""
    return max(_NICE, ROUNDINGS * claim.unit)


def in_words(k: float, same: float) -> tuple[bool, str]:
    """Whether a factor is one that people forget or add, and what it is called."""
    size, sign = abs(k), ", with the wrong sign" if k < 0 else ""
    if k == 0:
        return True, "left out: 0"
    if abs(k + 1) <= same:
        return True, "the wrong sign"
    for n, text, meant in (
        (size, "{} times the right one", "a sum where a mean belongs, or added {} times"),
        (1 / size, "1/{} of the right one", "a mean where a sum belongs"),
    ):
        if 1 < round(n) <= _LARGEST and abs(n - round(n)) <= same * n:
            return True, f"{text.format(round(n))}{sign} ({meant.format(round(n))}?)"
    return False, f"{k:.10g} times the right one"


Made = Callable[[list[float]], list[float]]


def _orders(parts: list[list[int]]) -> Iterator[tuple[str, Made]]:
    """What may become of the gradients of a whole tensor."""
    yield "one number for all, the sum of the right ones", lambda own: [math.fsum(own)] * len(own)
    yield (
        "one number for all, the mean of the right ones",
        lambda own: [math.fsum(own) / len(own)] * len(own),
    )
    yield "in reverse order", lambda own: own[::-1]
    for columns in range(2, max(map(len, parts)) // 2 + 1):
        if all(len(part) % columns == 0 for part in parts):

            def turned(own: list[float], columns: int = columns) -> list[float]:
                return [own[j] for i in range(columns) for j in range(i, len(own), columns)]

            yield "transposed", turned


def _each(parts: list[list[int]], right: list[float], made: Made) -> dict[int, float]:
    found: dict[int, float] = {}
    for part in parts:
        found |= zip(part, made([right[i] for i in part]), strict=True)
    return found


def _uses(claim: Claim, sizes: dict[int, float], where: str) -> Iterator[Explanation]:
    """One use alone counts, or one is lost, as in a loop over samples."""
    tape = claim.tape
    terms: dict[int, list[float]] = {i: [] for i in sizes}
    adjoints = sweep(tape)
    for i in range(tape.first, len(tape.nodes)):
        for parent, slope in zip(tape.parents[i], tape.partials[i], strict=True):
            if parent in terms:
                terms[parent].append(adjoints[i] * slope)
    counts = {len(one) for one in terms.values()}
    if len(counts) != 1 or not 1 < (count := counts.pop()) <= _FEW_USES:
        return
    for k in range(count):
        name = {0: "the first", count - 1: "the last"}.get(k, f"number {k + 1}")
        alone = {i: one[k] for i, one in terms.items()}
        if _is(claim, alone, sizes):
            yield Explanation(f"{where}: of {count} uses only {name} counts", _WHOLE)
        lost = {i: math.fsum(one) - one[k] for i, one in terms.items()}
        if _is(claim, lost, sizes):
            yield Explanation(f"{where}: of {count} uses {name} is lost", _LOST)
