"""The processor that code is compiled for, its features, and its number of vector registers."""

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
        cpu, features: LLVM's names for them.
        registers: the number of sums in a block of a contraction, each of 64 bytes.
    """

    cpu: str
    features: str
    triple: str = ""

    @property
    def registers(self) -> int:
        """The number of sums of eight doubles or sixteen floats each that fit in registers."""
        if "+avx512f" in self.features:
            return 26  # of 32 registers of eight doubles
        if "+avx2" in self.features or self.triple.startswith(("aarch64", "arm64")):
            return 4  # 16 registers of four doubles, or 32 of two
        return 2  # 16 registers of two doubles

    @property
    def key(self) -> str:
        """A text with everything about the target that its code depends on."""
        version = ".".join(map(str, llvm.llvm_version_info))
        return f"{version} {self.triple} {self.cpu} {self.features}"

    def machine(self) -> Any:
        """LLVM's code generator for this target."""
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        chosen = llvm.Target.from_triple(self.triple)
        return chosen.create_target_machine(self.cpu, self.features, opt=1, jit=True)


@cache
def host() -> Target:
    """This processor, with its widest registers enabled."""
    try:
        features = dict(llvm.get_host_cpu_features())
    except RuntimeError:  # LLVM cannot detect features here, so only the processor's name is used
        features = {}
    if "prefer-256-bit" in features:
        features["prefer-256-bit"] = False
    text = ",".join(f"{'+' if there else '-'}{name}" for name, there in sorted(features.items()))
    return Target(llvm.get_host_cpu_name(), text, llvm.get_process_triple())


@cache
def libm(name: str) -> int:
    """The address of a function in the C library, by its C name.

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
