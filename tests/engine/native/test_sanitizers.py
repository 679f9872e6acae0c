"""The kernels with their memory and arithmetic watched, and compiled without a warning."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conceptspace.engine.native.compiling import FLAGS, FOLDER, native
from emulated import kernels_with_tiles

COMPILER = shutil.which("g++")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no g++ here")


def runtime(name):
    """The sanitizer's library, or None where the compiler came without it."""
    command = [COMPILER, f"-print-file-name={name}"]
    found = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    return found.resolve() if found.is_absolute() else None


def watched(folder, *arguments):
    """A process of its own, into which AddressSanitizer is loaded before Python is."""
    asan, ubsan = runtime("libasan.so"), runtime("libubsan.so")
    if asan is None or ubsan is None:
        pytest.skip("g++ came without its sanitizers")
    environment = os.environ | {
        "LD_PRELOAD": f"{asan}:{ubsan}",
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:exitcode=99",
        "UBSAN_OPTIONS": "print_stacktrace=0:halt_on_error=1:exitcode=98",
        "CONCEPTSPACE_CACHE": str(folder),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": "2",
    }
    command = [sys.executable, str(Path(__file__).parent / "exercise.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1800)


def kinds():
    why = "this processor has no"
    return [
        "float32",
        "bfloat16",
        pytest.param(
            "emulated",
            marks=pytest.mark.skipif(not kernels_with_tiles().tiles, reason=f"{why} AVX512-BF16"),
        ),
        pytest.param(
            "tiles", marks=pytest.mark.skipif(not native().tiles, reason=f"{why} AMX tiles")
        ),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The compiled libraries, which the tests of this file share."""
    return tmp_path_factory.mktemp("sanitized")


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("kind", kinds())
class TestWatched:
    def test_random_shapes(self, folder, kind):
        ended = watched(folder, kind, "20" if kind == "emulated" else "60")
        assert ended.returncode == 0, ended.stderr[-3000:]
        assert ended.stdout.endswith("nothing found\n")

    def test_an_overflow_is_found(self, folder, kind):
        ended = watched(folder, kind, "1", "overflow")
        assert ended.returncode == 99, ended.stderr[-3000:]
        assert "AddressSanitizer: heap-buffer-overflow" in ended.stderr

    def test_undefined_arithmetic_is_found(self, folder, kind):
        ended = watched(folder, kind, "1", "undefined")
        assert ended.returncode not in (0, 99), ended.stderr[-3000:]
        assert "is outside the range of representable values" in ended.stderr


@needs_compiler
@pytest.mark.parametrize("machine", ["native", "x86-64", "x86-64-v3", "sapphirerapids"])
@pytest.mark.parametrize("source", sorted(FOLDER.glob("*.cpp")), ids=lambda path: path.stem)
def test_compiles_without_a_warning(source, machine):
    flags = [flag for flag in FLAGS if not flag.startswith(("-march", "-O3", "-w"))]
    strict = ["-O1", "-Wall", "-Wextra", "-Werror", f"-march={machine}"]
    command = [COMPILER, *flags, *strict, "-fsyntax-only", str(source)]
    ended = subprocess.run(command, capture_output=True, text=True)
    if "bad value" in ended.stderr:
        pytest.skip(f"this g++ does not know {machine}")
    assert ended.returncode == 0, ended.stderr


@needs_compiler
def test_a_warning_is_found(tmp_path):
    source = tmp_path / "kernel.cpp"
    source.write_text("int f(int unused) { return 1; }\n")
    with pytest.raises(AssertionError, match="unused"):
        test_compiles_without_a_warning(source, "native")
