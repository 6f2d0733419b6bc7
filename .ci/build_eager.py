"""A build hook of hatchling that compiles `autograd/eager.c` where there is a C compiler.

A wheel gets the extension.  An editable install gets it beside the source, where git ignores it.
Without a compiler, one line says so, and the installation goes on in pure Python.  CHAINRULE_PURE=1
leaves the extension out; CHAINRULE_NATIVE=1 makes it an error if it cannot be compiled.
"""

import os
import shutil
import sysconfig
import tempfile
import zlib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("autograd", "eager.c")


def compiled(root: Path, folder: Path) -> Path:
    """The extension, compiled in the folder; setuptools knows each platform's compiler."""
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    checksum = zlib.crc32((root / SOURCE).read_bytes())
    # Products and sums are rounded one by one, as in Python.
    exact = ["/fp:precise"] if os.name == "nt" else ["-O3", "-ffp-contract=off"]
    extension = Extension(
        "eager",
        [str(root / SOURCE)],
        define_macros=[("SOURCE", f"{checksum}u")],
        extra_compile_args=exact,
    )
    command = build_ext(Distribution({"name": "eager", "ext_modules": [extension]}))
    command.build_lib, command.build_temp = str(folder), str(folder / "objects")
    command.ensure_finalized()
    command.run()
    return Path(command.get_ext_fullpath("eager"))


def is_newer(file: Path, source: Path) -> bool:
    """Whether the file is there and younger than its source."""
    return file.exists() and file.stat().st_mtime > source.stat().st_mtime


class EagerHook(BuildHookInterface[Any]):
    """Adds the extension to a wheel, or puts it beside the source of an editable install."""

    folder: Path | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the wheel is put together."""
        if os.environ.get("CHAINRULE_PURE") == "1":
            return
        root = Path(self.root)
        beside = root / SOURCE.with_name(f"eager{sysconfig.get_config_var('EXT_SUFFIX')}")
        if version == "editable" and is_newer(beside, root / SOURCE):
            return  # pip builds twice: for the metadata and for the package
        self.folder = Path(tempfile.mkdtemp())
        try:
            if sysconfig.get_config_var("Py_GIL_DISABLED"):
                raise OSError("this Python has no global interpreter lock")
            extension = compiled(root, self.folder)
            if version == "editable":
                # Programs that run keep the file that they have loaded.
                os.replace(shutil.copy(extension, beside.with_suffix(".new")), beside)
                return
        except Exception as error:  # each compiler fails in its own way
            if os.environ.get("CHAINRULE_NATIVE") == "1":
                raise
            self.app.display_warning(f"autograd goes on in pure Python: {error}")
            return
        build_data["force_include"][str(extension)] = f"autograd/{extension.name}"
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was compiled, which is in the wheel now."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
