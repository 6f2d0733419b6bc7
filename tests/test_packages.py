"""What the two packages have as attributes, and what is looked up when it is asked for."""

import sys

import pytest

import autograd
import nn
from autograd import rows
from autograd.compiled import function as compiled


def test_operations_are_attributes_that_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autograd, "tanh", None)
    monkeypatch.delattr(autograd, "tanh")
    assert "tanh" not in vars(autograd)
    assert autograd.tanh is rows()["tanh"]
    assert vars(autograd)["tanh"] is rows()["tanh"]
    assert nn.tanh is rows()["tanh"]
    for package in (autograd, nn):
        name = package.__name__
        with pytest.raises(AttributeError, match=f"^module '{name}' has no attribute '"):
            _ = package.tahn
        assert {"tanh", "mul", "__name__"} <= set(dir(package))
        assert dir(package) == sorted(dir(package))


def test_compile_is_found_once_and_without_numpy_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(autograd, "compile", None)
    monkeypatch.delattr(autograd, "compile")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "autograd.compiled.function", None)
        missing = autograd.compile
        with pytest.raises(ModuleNotFoundError, match=r"autograd\.compiled"):
            missing(lambda x: x, engine="numpy")
        assert "compile" not in vars(autograd)
    assert autograd.compile is compiled.compile
    assert vars(autograd)["compile"] is compiled.compile
