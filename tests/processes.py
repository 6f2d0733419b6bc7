"""What other processes print and do for a test."""

import os
import subprocess
import sys


def printed(script: str) -> str:
    """The text that the script prints; CalledProcessError if it fails."""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return run.stdout


def filled(folder: str) -> int:
    """How many kernels a process finds or makes in an object cache, here for cheap imports."""
    from autograd.compiled.native import kernels, lookups
    from autograd.compiled.native.records import Kernel
    from autograd.compiled.native.target import host

    os.environ["CHAINRULE_CACHE"] = folder
    wanted: list[Kernel] = [(lookups.zero, ()), (lookups.zeros, ()), (lookups.transpose, ())]
    return len(kernels.Kernels(host()).find(wanted))
