"""Compile the kernels once per machine and load them; without a compiler there are none."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from conceptspace.cache import native_cache
from conceptspace.engine.native import kept
from conceptspace.engine.native.kernels import KERNELS
from conceptspace.files import sha256

SWITCH = "CONCEPTSPACE_NATIVE"
"""Environment variable: 0 keeps to plain PyTorch."""

FOLDER = Path(__file__).parent

# What -ffast-math allows, less what it changes outside these kernels (denormals, NaN, infinity).
FLAGS = [
    *("-O3", "-march=native"),
    *(["-mprefer-vector-width=512"] if platform.machine() == "x86_64" else []),
    *("-fopenmp", "-fPIC", "-std=c++17", "-w"),
    *("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros"),
    *("-fassociative-math", "-freciprocal-math"),
]


@dataclass(frozen=True)
class Native:
    """The kernels, or why there are none.

    Attributes:
        library: with the functions of this folder's ``*.cpp``; None if it could not be made.
        reason: what to tell the user.
        tiles: whether the processor has the matrix tiles (AMX) that the residual block wants.
    """

    library: ctypes.CDLL | None
    reason: str
    tiles: bool = False


@cache
def native() -> Native:
    """The kernels of this machine, compiled at the first call and kept in the cache.

    A cached library is for the same source, flags, compiler and processor only, so that a home
    folder may be shared by different machines. It lies in a folder of this user alone, and is
    compiled again if it is not what was compiled.
    """
    if os.environ.get(SWITCH) == "0":
        return Native(None, f"plain PyTorch operations, because {SWITCH}=0")
    name = os.environ.get("CXX", "g++")
    compiler = shutil.which(name)
    if compiler is None:
        return Native(None, f"plain PyTorch operations, because there is no C++ compiler {name}")
    try:
        library = _declared(ctypes.CDLL(str(_compiled(compiler))))
    except kept.Unsafe as error:
        return Native(None, f"plain PyTorch operations, because {error}")
    except (OSError, subprocess.SubprocessError) as error:
        errors = getattr(error, "stderr", None) or str(error)
        first = str(errors).strip().splitlines()[0] if str(errors).strip() else type(error).__name__
        return Native(None, f"plain PyTorch operations, because {compiler} failed: {first}")
    tiles = bool(library.residual_block_available())
    return Native(library, "fused C++ kernels" + (" and AMX tiles" if tiles else ""), tiles)


def _compiled(compiler: str) -> Path:
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    sources = sorted(FOLDER.glob("*.cpp"))
    texts = [path.read_text() for path in (*sources, *sorted(FOLDER.glob("*.hpp")))]
    parts = [*texts, " ".join(FLAGS), version.stdout, _processor()]
    name = sha256(chr(0).join(parts).encode())[:24]
    return kept.compiled_library(
        native_cache(), name, lambda folder: _linked(compiler, sources, folder)
    )


def _linked(compiler: str, sources: Sequence[Path], folder: Path) -> Path:
    """Compile and link in a folder of its own."""
    made = folder / "kernels.so"
    objects = [folder / f"{source.stem}.o" for source in sources]
    _run_together(
        [compiler, *FLAGS, "-c", str(source), "-o", str(made_of_it)]
        for source, made_of_it in zip(sources, objects, strict=True)
    )
    _run_together([[compiler, *FLAGS, "-shared", *map(str, objects), "-o", str(made)]])
    return made


def _run_together(commands: Iterable[list[str]]) -> None:
    """Run commands at the same time.

    Raises:
        subprocess.CalledProcessError: one failed; with what it wrote to stderr.
    """
    pipe = subprocess.PIPE
    running = [subprocess.Popen(c, stdout=pipe, stderr=pipe, text=True) for c in commands]
    ended = [(process, *process.communicate()) for process in running]
    for process, out, errors in ended:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args, out, errors)


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.platform() + platform.processor()
    return "\n".join(sorted({s for s in lines if s.startswith(("model name", "flags"))}))


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    for kernel in KERNELS:
        kernel.declare(library)
    return library
