"""A PyTorch module as a list of steps, read from `torch.export`: records without a tensor."""

import contextlib
import inspect
import math
import os
import re
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from autograd.bridges import aten
from autograd.bridges.refusals import UncoveredError
from autograd.bridges.with_torch import torch
from autograd.nestings import mapped

Tensor = Any
Lines = dict[tuple[str, int], str]  # of code, each with the name of what it belongs to
_FRAME = re.compile(r'File "(.+?)", line (\d+), in (\S+)')
_FOLDER = os.path.dirname(torch.__file__)
GETITEM = "getitem"  # takes one of several results
_WRAPPED = "chainrule_wrapped"  # no module's own name
_RANDOM = re.compile(r"^(rand|bernoulli|normal|multinomial|uniform|exponential|poisson)")


@dataclass(frozen=True)
class Ref:
    """The result of an earlier step, an input, a parameter or a constant, by name."""

    name: str


@dataclass(frozen=True)
class Step:
    """One call of an operation of ATen.

    Attributes:
        name: the name of the result.
        op: the operation and its overload, "mm.default".
        arguments: (args, kwargs), with a Ref for each tensor.
        scope: the path of the module that called it.
        function: the autograd.Function in whose forward it is; "" if in none.
        where: the user's line, "file:line"; "" if it is unknown.
        run: calls a function as if the user's line did.
        nodes: about how many Values it adds.
    """

    name: str
    op: str
    arguments: tuple[Any, Any]
    scope: tuple[str, ...]
    function: str
    where: str
    run: Callable[[Callable[[], Any]], Any]
    nodes: int


@dataclass
class Program:
    """A module's forward pass.

    Attributes:
        inputs: the names of the inputs' tensors, in order; None for an input that is no tensor.
        parameters: the name of each parameter's tensor, and the module's name for it.
        constants: the tensors that get no gradient: buffers, frozen parameters, literals.
        steps: the calls, in order.
        outputs: a Ref, or a plain object, for each part of the result.
        unflatten: the result's nesting, from its parts.
    """

    inputs: list[str | None] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Tensor] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    unflatten: Callable[[list[Any]], Any] = lambda parts: parts[0]


def module_of(model: Any, loss: Callable[[Any], Tensor] | None = None) -> Any:
    """A module that runs a module or a function of tensors, and then the loss."""
    if not callable(model):
        raise TypeError(f"from_torch: expected a torch.nn.Module, got {type(model).__name__}")
    if isinstance(model, torch.nn.Module) and loss is None:
        return model
    whole = torch.nn.Module()
    setattr(whole, _WRAPPED, model)  # a module becomes a part, a function an attribute

    def forward(*inputs: Any) -> Any:
        result = model(*inputs)
        return result if loss is None else loss(result)

    called = model.forward if isinstance(model, torch.nn.Module) else model
    with contextlib.suppress(TypeError, ValueError):  # Function.apply has none
        forward.__signature__ = inspect.signature(called)  # type: ignore[attr-defined]
    whole.forward = forward
    return whole


def name_of(module: Any) -> str:
    """The name of a module's class, or of the function that `module_of` put a module around."""
    inner = getattr(module, _WRAPPED, module)
    return str(getattr(inner, "__name__", type(inner).__name__))


def without_wrapper(path: str) -> str:
    """A module's or a parameter's own path, without the module that `module_of` puts around it."""
    return path.removeprefix(_WRAPPED).removeprefix(".")


def named(module: Any) -> dict[str, Tensor]:
    """The parameters that get a gradient, by the module's names; tied ones once."""
    parameters = module.named_parameters()
    return {without_wrapper(n): p for n, p in parameters if p.requires_grad}


def read(module: Any, inputs: tuple[Any, ...]) -> Program:
    """The module's program at inputs like these.

    Raises UncoveredError for a module that cannot be exported, and for one with an operation
    that is not covered.
    """
    functions = _forwards()
    # What a module that is wrapped does not do itself is the loss.
    outside = ("loss",) if isinstance(getattr(module, _WRAPPED, None), torch.nn.Module) else ()
    exported = _exported(module, inputs, functions)
    program = Program(unflatten=exported.call_spec.out_spec.unflatten)
    names = {parameter: name for name, parameter in named(module).items()}
    state = {**exported.state_dict, **exported.constants}
    specs = {spec.arg.name: spec for spec in exported.graph_signature.input_specs}
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            spec = specs[node.name]
            if spec.kind.name == "USER_INPUT":
                is_tensor = isinstance(node.meta.get("val"), torch.Tensor)
                program.inputs.append(node.name if is_tensor else None)
                continue
            if spec.target is None:  # a token that orders side effects
                continue
            tensor = state[spec.target]
            if spec.kind.name == "PARAMETER" and tensor.requires_grad:
                program.parameters[node.name] = names[tensor]
            else:
                program.constants[node.name] = tensor
        elif node.op == "call_function":
            program.steps.append(_step(node, _path(node, outside), functions))
        elif node.op == "output":
            program.outputs = _outputs(exported, node)
    return program


def _outputs(exported: Any, node: Any) -> list[Any]:
    """The parts of the user's result, without the new numbers of buffers."""
    specs = exported.graph_signature.output_specs
    parts = zip(specs, node.args[0], strict=True)
    return [_refs(part) for spec, part in parts if spec.kind.name == "USER_OUTPUT"]


def _exported(module: Any, inputs: tuple[Any, ...], functions: Lines) -> Any:
    """The exported program in core operations, where detach and no_grad are still seen."""
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")  # PyTorch's own, about its own parts
        try:
            exported = torch.export.export(module, inputs, strict=False)
        except Exception as error:
            raise UncoveredError(
                f"torch.export cannot read this module: {_first_line(error)}\n(it takes no branch "
                "that depends on a tensor's numbers, and no `.item()`, `.data` or NumPy inside)"
            ) from error
        _keep_cuts(exported.graph_module, functions)
        table = torch.export.default_decompositions()
        # What is covered is taken as it is: silu stays silu, and detach is not lost.
        for op in [op for op in table if _name(op) in aten.COVERED]:
            table.pop(op)
        return exported.run_decompositions(table)


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


# ---------------------------------------------------------------------- what gets no gradient


def _keep_cuts(graph_module: Any, functions: Lines) -> None:
    """Write `no_grad` blocks as detached results, because their marks are lost later on.

    Inside the forward of an autograd.Function nothing is recorded anyway: there, detach means
    nothing and is removed.
    """
    graph = graph_module.graph
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        if node.target is torch.ops.aten.detach.default and _in_function(node, functions):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
        elif "set_grad_enabled" in str(node.target):
            _detach_results(graph_module, node, functions)
    graph_module.recompile()


def _detach_results(graph_module: Any, node: Any, functions: Lines) -> None:
    graph = graph_module.graph
    enabled, block = node.args[:2]
    for inner in getattr(graph_module, block.target).graph.nodes:
        function = _in_function(inner, functions)
        if function:
            raise UncoveredError(
                f"{function} has a `no_grad` block in its forward, or is called in one, and the "
                "exported module does not say where the block ends; remove it (the forward of an "
                "autograd.Function records nothing anyway)"
            )
    for result in [] if enabled else list(node.users):
        with graph.inserting_after(result):
            cut = graph.call_function(torch.ops.aten.detach.default, (result,))
        cut.meta = dict(result.meta)
        result.replace_all_uses_with(cut, lambda user, cut=cut: user is not cut)


def _in_function(node: Any, functions: Lines) -> str:
    """The name of the autograd.Function in whose forward a node was made; '' if in none."""
    frames = ((file, line) for file, line, called in _frames(node) if called == "forward")
    return next((functions[frame] for frame in frames if frame in functions), "")


def _forwards() -> Lines:
    """The lines of all forwards of autograd.Functions, and their classes' names."""
    return {
        (code.co_filename, line): function.__name__
        for function in _functions(torch.autograd.Function)
        if (code := getattr(function.forward, "__code__", None))
        for *_, line in code.co_lines()
        if line is not None
    }


def _functions(base: Any) -> Iterator[Any]:
    for function in base.__subclasses__():
        yield function
        yield from _functions(function)


# ---------------------------------------------------------------------- steps


def _refs(part: Any) -> Any:
    return mapped(lambda leaf: Ref(leaf.name) if isinstance(leaf, torch.fx.Node) else leaf, part)


def _frames(node: Any) -> list[tuple[str, int, str]]:
    """(file, line, function) of the calls that led to a node, the innermost last."""
    trace = node.meta.get("stack_trace") or ""
    return [(file, int(line), name) for file, line, name in _FRAME.findall(trace)]


def _name(target: Any) -> str:
    return str(getattr(target, "__name__", target))


def _step(node: Any, path: tuple[str, ...], functions: Lines) -> Step:
    op = _name(node.target)
    own = [f for f in _frames(node) if not f[0].startswith((_FOLDER, "<"))]
    where = f"{os.path.basename(own[-1][0])}:{own[-1][1]}" if own else ""
    if op != GETITEM and op not in aten.COVERED:
        raise UncoveredError(_uncovered(op, node, path, where))
    return Step(
        node.name,
        op,
        (_refs(list(node.args)), _refs(dict(node.kwargs))),
        path,
        _in_function(node, functions),
        where,
        _located(*own[-1][:2]) if own else lambda function: function(),
        _nodes(op, node),
    )


def _path(node: Any, outside: tuple[str, ...]) -> tuple[str, ...]:
    """The path of the module that a node belongs to; `outside` if it belongs to none."""
    paths = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values()]
    deepest = paths[-1].split("@")[0] if paths else ""
    if not deepest:
        return outside
    return tuple(part for part in without_wrapper(deepest).split(".") if part)


def _uncovered(op: str, node: Any, path: tuple[str, ...], where: str) -> str:
    place = (f", in module {'.'.join(path)}" if path else "") + (f", at {where}" if where else "")
    advice = "`chainrule bridges torch` lists what is covered"
    if _RANDOM.match(op):
        advice = "it is random; draw the numbers outside and give them as an input"
    return f"aten.{op} is not covered (node {node.name}{place}); {advice}"


def _nodes(op: str, node: Any) -> int:
    result = node.meta.get("val")
    if op == GETITEM or not isinstance(result, torch.Tensor | tuple | list):
        return 0
    first = result if isinstance(result, torch.Tensor) else result[0]
    if not first.is_floating_point():
        return 0
    tensors = [a.meta["val"] for a in node.args if isinstance(a, torch.fx.Node)]
    shapes = [tuple(t.shape) for t in tensors if isinstance(t, torch.Tensor)]
    return aten.nodes(op, shapes, math.prod(first.shape))


def _located(file: str, line: int) -> Callable[[Callable[[], Any]], Any]:
    """A function that calls another one from a line of the user's code.

    So every message that names the user's line names the line of the module.
    """
    code = _call.__code__.replace(co_filename=file, co_firstlineno=line)
    return types.FunctionType(code, {"__name__": "the module"})


_call = lambda function: function()  # noqa: E731 - one line, which `_located` moves
