"""The transforms of Jets: what `ag.grad`, `ag.no_grad` and `ag.sin` are without the engine."""

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from autograd import rows
from tests.functions.jets import REAL, Jet, Terms, UndecidedError, World, times
from tests.functions.prelude import like, mapped, numbers

Tree = Any


def part(x: Any, level: int, place: int) -> Any:
    """The derivative in one of a level's infinitesimals.

    Raises UndecidedError for nan, whose derivatives are nan in the engine, also those of x in x.
    """
    if not isinstance(x, Jet):
        return 0.0
    if math.isnan(x.terms[REAL][0]):
        raise UndecidedError
    mark = (level, place)
    terms = {key - {mark}: c for key, c in x.terms.items() if mark in key}
    return Jet(x.world, {REAL: (0.0, 0.0), **terms})


def rest(x: Any, level: int) -> Any:
    """The number without a level's infinitesimals."""
    if not isinstance(x, Jet):
        return x
    terms = {key: c for key, c in x.terms.items() if all(at != level for at, _ in key)}
    return Jet(x.world, terms)


class Transforms:
    """The transforms by forward accumulation, each call at a level of its own."""

    def __init__(self, world: World) -> None:
        self.world = world

    def open(self, tree: Tree, along: list[Any] | None = None) -> tuple[int, Tree]:
        """A new level, and the tree with an infinitesimal added to each number.

        With directions, all of the numbers move along them by the same infinitesimal.
        """
        lift, level, entered = self.world.lift, self.world.levels, []
        self.world.levels += 1
        for place, x in enumerate(numbers(tree)):
            step: Terms = {frozenset({(level, 0 if along else place)}): (1.0, 0.0)}
            if along is not None:
                step = times(step, lift(along[place]).terms)
            entered.append(Jet(self.world, {**lift(x).terms, **step}))
        return level, like(tree, entered)

    def value_and_grad(self, f: Any, argnums: Any = 0) -> Any:
        def both(*args: Any) -> Any:
            several = isinstance(argnums, tuple | list)
            chosen = [k % len(args) for k in (argnums if several else [argnums])]
            level, entered = self.open([args[k] for k in chosen])
            given = dict(zip(chosen, entered, strict=True))
            result = f(*(given.get(k, arg) for k, arg in enumerate(args)))
            count = len(numbers(entered))
            slopes = like(entered, [part(result, level, i) for i in range(count)])
            return rest(result, level), tuple(slopes) if several else slopes[0]

        return both

    def grad(self, f: Any, argnums: Any = 0) -> Any:
        return lambda *args: self.value_and_grad(f, argnums)(*args)[1]

    def vjp(self, f: Any, *primals: Any) -> Any:
        level, entered = self.open(list(primals))
        result = f(*entered)

        def pull(weights: Tree) -> Any:
            pairs = list(zip(numbers(result), numbers(weights), strict=True))
            count = len(numbers(entered))
            slopes = [sum(w * part(z, level, i) for z, w in pairs) for i in range(count)]
            return tuple(like(entered, slopes))

        return mapped(lambda z: rest(z, level), result), pull

    def jvp(self, f: Any, primals: Any, tangents: Any) -> Any:
        level, entered = self.open(list(primals), numbers(list(tangents)))
        result = f(*entered)
        slopes = mapped(lambda z: part(z, level, 0), result)
        return mapped(lambda z: rest(z, level), result), slopes

    def jacobian(self, f: Any, argnums: int = 0) -> Any:
        def rows_of(*args: Any) -> Any:
            level, entered = self.open(args[argnums])
            result = f(*args[:argnums], entered, *args[argnums + 1 :])
            places = range(len(numbers(entered)))
            return mapped(lambda z: like(entered, [part(z, level, i) for i in places]), result)

        return rows_of

    def hessian(self, f: Any, argnum: int = 0) -> Any:
        return self.jacobian(self.grad(f, argnum), argnum)

    def hvp(self, f: Any, x: Tree, v: Tree) -> Any:
        return self.jvp(self.grad(f), (x,), (v,))[1]

    def backward(self, run: Callable[[], Any], nodes: list[Jet]) -> list[Any]:
        """The gradient of what runs in nodes that exist already."""
        before = [dict(node.terms) for node in nodes]
        level, entered = self.open(nodes)
        for node, inside in zip(nodes, entered, strict=True):
            node.terms = inside.terms
        result = run()
        slopes = [part(result, level, i) for i in range(len(nodes))]
        for node, terms in zip(nodes, before, strict=True):
            node.terms = terms
        return slopes

    def compile(self, f: Any, exact: bool = False, **_: Any) -> Any:
        """The same function; unless it is exact, its sums may be regrouped."""
        world = self.world

        def regrouped(*args: Any) -> Any:
            before, world.regroup = world.regroup, True
            try:
                return f(*mapped(lambda x: x if isinstance(x, int) else world.lift(x), args))
            finally:
                world.regroup = before

        return f if exact else regrouped

    @contextmanager
    def no_grad(self) -> Iterator[None]:
        before, self.world.cut = self.world.cut, self.world.levels
        yield
        self.world.cut = before


def names(world: World) -> SimpleNamespace:
    """What `import autograd as ag` is for a function of Jets."""
    transforms = Transforms(world)
    own = {name: getattr(transforms, name) for name in dir(Transforms) if name[0] != "_"}
    table = {name: functools.partial(world.apply, op) for name, op in rows().items()}

    def clip(x: Any, low: Any, high: Any) -> Any:
        return table["minimum"](table["maximum"](x, low), high)

    return SimpleNamespace(
        **table,
        **own,
        Value=world.lift,
        select=lambda values, index: values[index],
        argmax=lambda values: values.index(max(values)),
        where=lambda condition, x, y: x if condition else y,
        clip=clip,
    )
