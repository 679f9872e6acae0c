from __future__ import annotations

import subprocess

import pytest

from conceptspace.native import library
from conceptspace.native.library import Native, native


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """No library is loaded yet, and the cache is empty."""
    monkeypatch.setenv("CONCEPTSPACE_CACHE", str(tmp_path))
    native.cache_clear()
    yield tmp_path
    native.cache_clear()


def compiler():
    try:
        subprocess.run(["g++", "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@pytest.mark.skipif(not compiler(), reason="no g++ here")
def test_compiled_once_and_taken_from_the_cache(fresh, monkeypatch):
    assert native().library is not None
    (made,) = (fresh / "native").glob("*.so")
    changed = made.stat().st_mtime_ns
    native.cache_clear()
    assert native().library is not None
    assert made.stat().st_mtime_ns == changed
    native.cache_clear()
    monkeypatch.setattr(library, "FLAGS", [*library.FLAGS, "-DOTHER"])
    assert native().library is not None
    assert len(list((fresh / "native").glob("*.so"))) == 2, "other flags, another library"


def test_without_a_compiler_there_is_a_reason(fresh, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert native() == Native(
        None, "plain PyTorch operations, because there is no C++ compiler no-such-compiler"
    )


def test_a_failing_compiler_is_told(fresh, monkeypatch, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text(
        "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\necho 'no such flag' >&2\nexit 1\n"
    )
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    found = native()
    assert found.library is None
    assert found.reason == f"plain PyTorch operations, because {broken} failed: no such flag"
    assert not list((fresh / "native").glob("*.so"))


def test_switched_off(fresh, monkeypatch):
    monkeypatch.setenv("CONCEPTSPACE_NATIVE", "0")
    assert native().library is None
    assert "CONCEPTSPACE_NATIVE=0" in native().reason
