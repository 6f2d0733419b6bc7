"""The machine that code is made for: its processor, its features, and how many vectors it holds."""

import ctypes
import ctypes.util
import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import llvmlite.binding as llvm


@dataclass(frozen=True)
class Target:
    """A processor.

    Attributes:
        cpu, features: as LLVM names them.
        registers: sums that a block of a contraction keeps, each of `ir.VECTOR` numbers.
    """

    cpu: str
    features: str
    triple: str = ""

    @property
    def registers(self) -> int:
        """How many vectors of eight doubles can be summed up without touching memory."""
        if "+avx512f" in self.features:
            return 26  # of 32
        if "+avx2" in self.features or self.triple.startswith(("aarch64", "arm64")):
            return 4  # of 16 with four numbers, or of 32 with two
        return 2  # of 16 with two numbers

    @property
    def key(self) -> str:
        """What the code for it depends on."""
        version = ".".join(map(str, llvm.llvm_version_info))
        return f"{version} {self.triple} {self.cpu} {self.features}"

    def machine(self) -> Any:
        """LLVM's code generator for it."""
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        chosen = llvm.Target.from_triple(self.triple)
        return chosen.create_target_machine(self.cpu, self.features, opt=1, jit=True)


@cache
def host() -> Target:
    """The machine that this runs on, with registers as wide as it has."""
    try:
        features = dict(llvm.get_host_cpu_features())
    except RuntimeError:  # where LLVM cannot ask the processor, its name has to do
        features = {}
    if "prefer-256-bit" in features:
        features["prefer-256-bit"] = False
    text = ",".join(f"{'+' if there else '-'}{name}" for name, there in sorted(features.items()))
    return Target(llvm.get_host_cpu_name(), text, llvm.get_process_triple())


@cache
def libm(name: str) -> int:
    """The address of a function of the C library, by the name that it has there.

    Raises NotImplementedError if there is none.
    """
    places = ["ucrtbase", "msvcrt"] if os.name == "nt" else [None, ctypes.util.find_library("m")]
    for place in places:
        try:
            function = getattr(ctypes.CDLL(place), name)
        except (OSError, AttributeError):
            continue
        return ctypes.cast(function, ctypes.c_void_p).value or 0
    raise NotImplementedError(
        f"{name}: neither the native engine nor C's library has a function of this name, so the "
        'row cannot be compiled; use engine="numpy"'
    )
