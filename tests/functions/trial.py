"""One trial: a random function, asked the same questions eagerly, in Jets and compiled."""

import ast
import contextlib
import functools
import linecache
import math
import random
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import autograd
from autograd import RecordingError
from tests.functions import compare, prelude
from tests.functions.grammar import Function, function
from tests.functions.jets import World
from tests.functions.prelude import mapped
from tests.functions.questions import QUESTIONS, Question
from tests.functions.transforms import names

PRELUDE = Path(prelude.__file__).read_text()
# With other names for the package, which the text then does not import.
_PRELUDE = compile(PRELUDE.replace("import autograd as ag\n", ""), prelude.__file__, "exec")
DEEPEST = 3  # so many derivatives inside each other
HUGE = 1e10  # beside such numbers, sums in another order are other numbers
EXACT = 0.3  # the share of compiled functions that replay to the bit


@dataclass(frozen=True)
class Step:
    """A question that is asked at a call."""

    question: Question
    call: int


@dataclass(frozen=True)
class Trial:
    """A function and what is asked of it, one after the other, of one compiled function.

    With `engine=None` nothing is compiled: the eager answers are compared with those of Jets.
    """

    function: Function
    steps: tuple[Step, ...]
    engine: str | None = None
    exact: bool = False


@dataclass(frozen=True)
class Failure:
    """What went wrong at a step of a trial.

    Attributes:
        kind: "wrong" for a number, "type" for its class or nesting, or an exception's name.
    """

    trial: Trial
    step: Step
    kind: str
    text: str

    @property
    def signature(self) -> tuple[Any, ...]:
        """What a smaller trial must keep to be the same failure."""
        return self.step.question.name, self.kind, self.trial.engine


@dataclass
class Tally:
    """What trials have seen; the counts are of answers."""

    functions: int = 0
    compared: int = 0
    refused: int = 0
    skipped: int = 0
    failures: list[Failure] = field(default_factory=list)


class Place:
    """The names that a function's text and the questions are run in."""

    def __init__(self, function: Function, ag: Any, lift: Any = None) -> None:
        self.names: dict[str, Any] = {"ag": ag}
        self.lift = lift  # makes Jets of plain numbers, so that arithmetic on them has bounds
        exec(_PRELUDE, self.names)
        if hasattr(ag, "backward"):
            self.names |= {"backward": ag.backward, "slopes": ag.backward}
        self.leaves = compile(function.list_of_leaves, "leaves", "eval")
        # The source is kept where tracebacks and `inspect` look for it.
        source = function.source
        filename = f"<random function {zlib.crc32(source.encode()) % 1000}>"
        linecache.cache[filename] = len(source), None, source.splitlines(keepends=True), filename
        exec(compile(source, filename, "exec"), self.names)

    def ask(self, call: str, question: str, of: str) -> Any:
        """The answer to a question of `f` or of the compiled `c`, after a call's text has run."""
        exec(call, self.names)
        if self.lift:
            for name, x in self.names.items():
                if name in ("args", "rows", "cs") or type(x) is float:
                    self.names[name] = mapped(lambda x: x if type(x) is int else self.lift(x), x)
        leaves = eval(self.leaves, self.names)
        self.names |= {"leaves": leaves, "F": self.names[of]}
        self.names |= self.names["prepared"](self.names["args"], leaves)
        return eval(question, self.names)


class Answers:
    """The answers of all sides to the steps of one trial."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.eager = Place(trial.function, autograd)
        if trial.engine is not None:
            f = self.eager.names["f"]
            self.eager.names |= {"engine": trial.engine, "exact": trial.exact}
            self.eager.names["c"] = autograd.compile(f, engine=trial.engine, exact=trial.exact)

    @cached_property
    def _jets(self) -> list[Place]:
        function, strict, loose = self.trial.function, World(), World(regroup=True)
        return [Place(function, names(strict)), Place(function, names(loose), loose.lift)]

    def bounds(self, step: Step, regroup: bool) -> list[compare.Bound]:
        """The numbers of the second differentiator.  Raises UndecidedError."""
        call, text = self.trial.function.calls[step.call], step.question.text
        answer = self._jets[regroup].ask(call, text, "f")
        return compare.bounds(answer)

    def asked(self, step: Step, compiled: bool) -> Any:
        """The engine's answer."""
        call, question = self.trial.function.calls[step.call], step.question
        method = question.method if compiled else ""
        return self.eager.ask(call, method or question.text, "f" if method or not compiled else "c")

    def mirrored(self, step: Step, quiet: bool = False) -> list[Any]:
        """The numbers of the eager answer in another mode; `quiet` is without a graph."""
        call, question = self.trial.function.calls[step.call], step.question
        text = f"quiet(lambda: {question.text})" if quiet else question.mirror
        answer = self.eager.ask(call, text, "f")
        return [x for _, x in compare.flat(answer)]


def run(trial: Trial, tally: Tally | None = None) -> Failure | None:
    """The first failure of a trial, if any."""
    tally = tally or Tally()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answers = Answers(trial)
        for step in trial.steps:
            failed = _step(answers, step, tally)
            if failed:
                failure = Failure(trial, step, *failed)
                tally.failures.append(failure)
                return failure
    return None


def _step(answers: Answers, step: Step, tally: Tally) -> tuple[str, str] | None:
    """The kind of failure and its text; the tally counts the answer."""
    try:
        eager = answers.asked(step, compiled=False)
        wanted = [compare.plain(x) for _, x in compare.flat(eager)]
    except Exception as error:
        # What cannot be run eagerly asks nothing of a compiled function.
        if _asks_too_much(answers.trial.function.source, error):
            tally.skipped += 1
        else:
            tally.refused += 1
        return None
    try:
        exact = answers.bounds(step, regroup=False)
        wrong = compare.differences(wanted, exact)
        known = True
    except ArithmeticError:  # undecided, or Python's own, where the engine has Values
        known, wrong = False, ""
    if answers.trial.engine is None:
        if not known and step.question.mirror:
            return _other_mode(answers, step, wanted, tally)
        tally.compared += known
        tally.skipped += not known
        return ("wrong", wrong) if wrong else None
    if wrong:
        tally.skipped += 1  # the eager answer is no oracle
        return None
    try:
        got = answers.asked(step, compiled=True)
    except Exception as error:
        if not _refuses(error):
            return type(error).__name__, str(error)
        tally.refused += 1
        return None
    tally.compared += 1
    kinds = step.question.kinds and not step.question.method
    # A leaf that `select` might have chosen, or that a second derivative does not depend on, is
    # behind the call, and is not behind the eager result.
    kinds = kinds and step.question.order < 2 and "select(" not in answers.trial.function.source
    if wrong := compare.types(got, eager, kinds):
        return "type", wrong
    found = [compare.plain(x) for _, x in compare.flat(got)]
    loose = _loose(answers, step, wanted, known)
    wrong = compare.differences(found, list(zip(wanted, loose, strict=True)))
    if wrong and not known and step.question.order:
        # At nan and inf the modes of the eager engine differ where 0 meets inf: either is right.
        for quiet in [True] if not step.question.mirror else [False, True]:
            with contextlib.suppress(RuntimeError):
                other = [compare.plain(x) for x in answers.mirrored(step, quiet)]
                both = zip(found, wanted, other, strict=True)
                wanted = [z if z == x or (z != z and x != x) else y for x, y, z in both]
        wrong = compare.differences(found, list(zip(wanted, loose, strict=True)))
    return ("wrong", wrong) if wrong else None


def _asks_too_much(source: str, error: Exception) -> bool:
    """Whether the function asks a float for its `.data`, or changes a leaf that it has used."""
    return ".data" in source and isinstance(error, AttributeError | RuntimeError)


def _other_mode(
    answers: Answers, step: Step, wanted: list[float], tally: Tally
) -> tuple[str, str] | None:
    """As `_step`, of the engine's answer in another mode."""
    try:
        found = [compare.plain(x) for x in answers.mirrored(step)]
    except RuntimeError:  # a leaf changed, and this mode needs it as it was
        tally.refused += 1
        return None
    tally.compared += 1
    # Sums with inf in them are nan in one order, and inf in another.  One mode does not carry an
    # adjoint of 0 on where the other meets 0 * inf; but what is nan by numbers is nan recorded.
    forward = step.question.mirror.startswith("pushed")
    ends = [math.nan if math.isinf(x) else x for x in found]
    pairs = []
    for x, y in zip(wanted, ends, strict=True):
        lost = math.isinf(x) or math.isnan(y)
        right = y if forward and math.isnan(x) else math.nan if lost else x
        pairs.append((right, compare.LOOSE * max(1.0, abs(x))))
    wrong = compare.differences(ends, pairs)
    return ("wrong", f"{wrong} by {step.question.mirror}") if wrong else None


def _refuses(error: Exception) -> bool:
    """Whether an error says what to write instead, and did not just happen."""
    advice = ["compile", ".data", "the forward pass again"]
    return isinstance(error, RecordingError) or any(words in str(error) for words in advice)


def _loose(answers: Answers, step: Step, wanted: list[float], known: bool) -> list[float]:
    """How far from the eager numbers those of another order of sums may be."""
    if known:
        try:
            pairs = zip(wanted, answers.bounds(step, regroup=True), strict=True)
            return [bound + compare.LEAST * max(1.0, abs(x)) for x, (_, bound) in pairs]
        except ArithmeticError:
            if not answers.trial.exact:  # next to an end, where a slope has no bound
                return [math.inf] * len(wanted)
    call = answers.trial.function.calls[step.call]
    constants = [part.value for part in ast.walk(ast.parse(call)) if isinstance(part, ast.Constant)]
    largest = max([1.0, *(abs(x) for x in constants if isinstance(x, float | int))])
    # What makes nan or inf of finite numbers, such as 1 / (a - b), may make a number of them when
    # it is summed in another order; and of huge ones nothing may be left.
    exact = answers.trial.exact
    if not exact and largest > HUGE:
        return [math.inf] * len(wanted)
    vague = 0.0 if exact or "inf" in call or "nan" in call else math.inf
    return [compare.LOOSE * max(abs(x), largest) if math.isfinite(x) else vague for x in wanted]


@functools.cache
def _suited(scalar: bool, plain: bool, order: int, leaves: bool, compiled: bool) -> list[Question]:
    return [
        question
        for question in QUESTIONS
        if (scalar or not question.scalar)
        and (plain or not question.plain)
        and question.order + order <= DEEPEST
        and (compiled or not question.method)
        and (leaves or "leaves" not in question.text)
    ]


def trial(seed: int, engine: str | None = None, questions: int = 8) -> Trial:
    """The trial of a seed: its function, and questions that suit it."""
    one, rng = function(seed), random.Random(f"questions of {seed}")
    suited = _suited(one.scalar, one.plain, one.order, bool(one.leaves), engine is not None)
    steps = [Step(rng.choice(suited), rng.randrange(len(one.calls))) for _ in range(questions)]
    return Trial(one, tuple(steps), engine, exact=rng.random() < EXACT)


def tried(seeds: Iterable[int], engine: str | None = None) -> Tally:
    """What the trials of these seeds have seen."""
    tally = Tally()
    for seed in seeds:
        tally.functions += 1
        run(trial(seed, engine), tally)
    return tally
