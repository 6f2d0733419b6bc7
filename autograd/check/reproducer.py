"""Code that repeats a failed check: the imports, the function, its inputs, and the call."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from autograd.nestings import Tree, mapped
from autograd.operation import Operation
from autograd.value import Value

_LONG = 3000  # characters of the call; a longer one is not a minimal example


class _Text:
    """A text that replaces a number in the repr of a nesting."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def reproducer(f: Callable[..., Any], inputs: tuple[Tree, ...], options: dict[str, Any]) -> str:
    """Lines of Python that repeat the check at the same inputs, ready to paste.

    Numbers that the function closes over are written out; everything else is named.

    >>> from autograd import tanh
    >>> print(reproducer(tanh, (0.5,), {"order": 2}))
    from autograd import check_gradients, tanh
    check_gradients(tanh, 0.5, order=2)
    """
    name, source = _function(f)
    arguments = [name, *(repr(mapped(_shown, tree)) for tree in inputs)]
    arguments += [f"{key}={_option(value)}" for key, value in options.items()]
    call = f"check_gradients({', '.join(arguments)})"
    if len(call) > _LONG:
        call = f"check_gradients({name}, ...)  # its inputs are {len(call):,} characters long"
    ours = ["check_gradients", *(["Value"] if any("Value(" in line for line in source) else [])]
    lines = []
    if isinstance(f, Operation):
        ours.append(f.name)
    lines.append(f"from autograd import {', '.join(ours)}")
    lines += [
        f"from {module} import {', '.join(names)}"
        for module, names in {"math": ["inf", "nan"], "numpy": ["array"]}.items()
        if any(name in call + "".join(source) for name in names)
    ]
    return "\n".join([*lines, *source, call])


def _shown(leaf: Any) -> _Text:
    if isinstance(leaf, Value):
        return _Text(repr(leaf.data))
    if not hasattr(leaf, "tolist"):
        return _Text(repr(leaf))
    if not getattr(leaf, "ndim", 0):
        return _Text(repr(leaf.tolist()))
    kind = str(leaf.dtype).rpartition(".")[2]
    return _Text(f"array({leaf.tolist()!r}, {kind!r})")


def _option(value: Any) -> str:
    """An option as text; a function or a module by its name."""
    plain = isinstance(value, bool | int | float | str | type(None))
    return repr(value) if plain else getattr(value, "__name__", "") or "..."


def _function(f: Callable[..., Any]) -> tuple[str, list[str]]:
    """The name of a function, and the lines that define or import it."""
    if isinstance(f, Operation):
        return f.name, []
    name, place = getattr(f, "__name__", ""), getattr(f, "__qualname__", "")
    if name and place == name != "<lambda>":
        return name, [f"from {f.__module__} import {name}"]
    text = _source(f)
    if not text:
        return "f", [f"f = ...  # {place or type(f).__name__}"]
    outside = inspect.getclosurevars(f)
    known = [_known(*item) for item in {**outside.globals, **outside.nonlocals}.items()]
    return (name, [*known, text]) if name != "<lambda>" else ("f", [*known, f"f = {text}"])


def _known(name: str, value: Any) -> str:
    """A line that defines a name used by the function; `...` if its value has no short text."""
    if isinstance(value, Value):
        return f"{name} = Value({value.data!r})"
    if isinstance(value, float | int | str):
        return f"{name} = {value!r}"
    if inspect.ismodule(value):
        return f"import {value.__name__}" + (f" as {name}" if value.__name__ != name else "")
    place = getattr(value, "__qualname__", "")
    if isinstance(value, Operation):
        return f"from autograd import {value.name}" + (f" as {name}" * (name != value.name))
    if place == name:
        return f"from {value.__module__} import {name}"
    return f"{name} = ...  # {type(value).__name__}"


def _source(f: Any) -> str:
    """The source of a nested function or a lambda; '' if it cannot be determined."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(f)).strip().rstrip(","))
    except (OSError, TypeError, SyntaxError):
        return ""
    kind = ast.Lambda if f.__name__ == "<lambda>" else ast.FunctionDef
    functions = [node for node in ast.walk(tree) if isinstance(node, kind)]
    if not functions or (kind is ast.Lambda and len(functions) > 1):
        return ""
    for node in ast.walk(functions[0]):
        if isinstance(node, ast.arg):
            node.annotation = None  # the types in annotations are not imported
        elif isinstance(node, ast.FunctionDef):
            node.returns, node.decorator_list = None, []
    return ast.unparse(functions[0])
