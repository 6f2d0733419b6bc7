"""Mistakes in the gradients of whole tensors: a factor, an order, a sum, a lost use."""

import math
from collections.abc import Callable, Iterator

from autograd.check.claims import ROUNDINGS, Claim
from autograd.check.explanation import Explanation
from autograd.check.places import called, tensors
from autograd.check.replay import sweep
from autograd.check.shapes import SEVERAL

# Ranks beside those of mistakes in the pass: a plain factor of the loss comes first.
_FACTOR, _WHOLE, _ADDED, _LOST, _ODD = -2, -1, 5, 19, 60
OTHER_LOSS = "the loss differs by this factor"
_FEW_USES = 64  # of one number: each use is tried up to this many
_LARGEST = 1000  # a larger factor is always close to some whole number
_NICE = 1e-9  # the relative distance within which a factor, or 1 over it, is a whole number


def explanations(
    claim: Claim, right: list[float], sizes: list[float], wrong: list[int]
) -> list[Explanation]:
    """The mistakes in the gradients of whole tensors, or in all gradients, that fit the claim."""
    where = called(wrong, claim.names)
    fits = list(_factor(claim, right, sizes, wrong, where))
    fits += _added(claim, right, sizes, wrong, where)
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
        for text, change in _changes(parts):
            if _is(claim, _changed(parts, right, change), _changed(parts, sizes, change)):
                fits.append(Explanation(f"{where}: {text}", _WHOLE))
        fits += _uses(claim, dict(zip(whole, (sizes[i] for i in whole), strict=True)), where)
    return fits


def _is(claim: Claim, numbers: dict[int, float], sizes: dict[int, float]) -> bool:
    """Whether these numbers are the claimed ones, up to rounding."""
    bound = ROUNDINGS * claim.unit
    return all(abs(claim.numbers[i] - x) <= bound * sizes[i] for i, x in numbers.items())


def _factor(
    claim: Claim, right: list[float], sizes: list[float], wrong: list[int], where: str
) -> Iterator[Explanation]:
    """The same factor in all wrong gradients."""
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
        text = f"every gradient: {words}; {OTHER_LOSS}"
        yield Explanation(text, _FACTOR if nice else _ODD)


def _added(
    claim: Claim, right: list[float], sizes: list[float], wrong: list[int], where: str
) -> Iterator[Explanation]:
    """A multiple of the parameters themselves is added, or large gradients are clipped."""
    data = [node.data for node in claim.tape.nodes]
    largest = max(wrong, key=lambda i: abs(data[i]))
    if len(wrong) >= SEVERAL and data[largest]:
        k = (claim.numbers[largest] - right[largest]) / data[largest]
        wide = {i: sizes[i] + abs(k * data[i]) for i in wrong}
        if _is(claim, {i: right[i] + k * data[i] for i in wrong}, wide):
            text = (
                f"{where}: {k:.6g} times the number is added, a weight decay that f does not have"
            )
            yield Explanation(text, _ADDED)
    most = abs(claim.numbers[wrong[0]])
    clipped = {i: max(-most, min(most, right[i])) for i in range(len(right))}
    if most and len(wrong) >= SEVERAL and _is(claim, clipped, dict(enumerate(sizes))):
        yield Explanation(f"gradients larger than {most:.6g} are clipped", _WHOLE)


def alike(claim: Claim) -> float:
    """The relative distance within which a factor counts as a whole number."""
    return max(_NICE, ROUNDINGS * claim.unit)


def in_words(k: float, same: float) -> tuple[bool, str]:
    """Whether a factor is a likely mistake, and its description."""
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


Change = Callable[[list[float]], list[float]]


def _changes(parts: list[list[int]]) -> Iterator[tuple[str, Change]]:
    """The wrong ways to combine or order the gradients of a whole tensor."""
    yield "one number for all, the sum of the right ones", lambda own: [math.fsum(own)] * len(own)
    yield (
        "one number for all, the mean of the right ones",
        lambda own: [math.fsum(own) / len(own)] * len(own),
    )
    yield "in reverse order", lambda own: own[::-1]
    for columns in range(2, max(map(len, parts)) // 2 + 1):
        if all(len(part) % columns == 0 for part in parts):

            def transposed(own: list[float], columns: int = columns) -> list[float]:
                return [own[j] for i in range(columns) for j in range(i, len(own), columns)]

            yield "transposed", transposed


def _changed(parts: list[list[int]], right: list[float], change: Change) -> dict[int, float]:
    changed: dict[int, float] = {}
    for part in parts:
        changed |= zip(part, change([right[i] for i in part]), strict=True)
    return changed


def _uses(claim: Claim, sizes: dict[int, float], where: str) -> Iterator[Explanation]:
    """Only one use counts, or one use is lost, as in a loop over samples."""
    tape = claim.tape
    terms: dict[int, list[float]] = {i: [] for i in sizes}
    adjoints = sweep(tape)
    for i in range(tape.first, len(tape.nodes)):
        for parent, slope in zip(tape.parents[i], tape.partials[i], strict=True):
            if parent in terms:
                terms[parent].append(adjoints[i] * slope)
    counts = {len(shares) for shares in terms.values()}
    if len(counts) != 1 or not 1 < (count := counts.pop()) <= _FEW_USES:
        return
    for k in range(count):
        name = {0: "the first", count - 1: "the last"}.get(k, f"number {k + 1}")
        alone = {i: shares[k] for i, shares in terms.items()}
        if _is(claim, alone, sizes):
            yield Explanation(f"{where}: only {name} of {count} uses counts", _WHOLE)
        lost = {i: math.fsum(shares) - shares[k] for i, shares in terms.items()}
        if _is(claim, lost, sizes):
            yield Explanation(f"{where}: {name} of {count} uses is lost", _LOST)
