from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conceptspace.engine.native import compiling
from conceptspace.engine.native.compiling import Native, native
from conceptspace.engine.native.kept import Unsafe
from conceptspace.engine.native.kept import compiled_library as library_of

QUICKLY = ["-O0", *compiling.FLAGS[1:]]
"""Compiled so, the kernels are slow, and soon there."""


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """No library is loaded yet, and the cache is empty."""
    monkeypatch.setenv("CONCEPTSPACE_CACHE", str(tmp_path))
    monkeypatch.setattr(compiling, "FLAGS", QUICKLY)
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
    (made,) = (fresh / "native").glob("*/*.so")
    changed = made.stat().st_mtime_ns
    native.cache_clear()
    assert native().library is not None
    assert made.stat().st_mtime_ns == changed
    native.cache_clear()
    monkeypatch.setattr(compiling, "FLAGS", [*compiling.FLAGS, "-DOTHER"])
    assert native().library is not None
    assert len(list((fresh / "native").glob("*/*.so"))) == 2, "other flags, another library"


@pytest.mark.slow
@pytest.mark.skipif(not compiler(), reason="no g++ here")
def test_a_library_that_is_not_what_was_compiled_is_compiled_again(fresh):
    """Loading half a library would end the process; this one is not loaded yet."""
    code = (
        "from conceptspace.engine.native import compiling; compiling.FLAGS[0] = '-O0'; "
        "assert compiling.native().library is not None"
    )
    environment = os.environ | {"CONCEPTSPACE_CACHE": str(fresh)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    (made,) = (fresh / "native").glob("*/*.so")
    whole = made.read_bytes()
    made.write_bytes(whole[: len(whole) // 2])
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert len(made.read_bytes()) == len(whole)


class TestKept:
    """What is loaded is this user's own."""

    @staticmethod
    def compiled(root):
        def make(folder):
            (folder / "x.so").write_bytes(b"compiled")
            return folder / "x.so"

        return library_of(root, "name", make)

    def test_in_a_folder_of_this_user_alone(self, tmp_path):
        path = self.compiled(tmp_path / "native")
        assert path.read_bytes() == b"compiled"
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        left = sorted(p.name for p in path.parent.iterdir() if p.suffix != ".lock")
        assert left == ["name.sha256", "name.so"]

    def test_of_several_that_begin_at_once_one_compiles(self, tmp_path):
        made = []

        def slowly(folder):
            made.append(folder)
            time.sleep(0.2)
            (folder / "x.so").write_bytes(b"compiled")
            return folder / "x.so"

        with ThreadPoolExecutor(4) as pool:
            paths = list(pool.map(lambda _: library_of(tmp_path / "n", "name", slowly), range(4)))
        assert len(made) == 1
        assert {path.read_bytes() for path in paths} == {b"compiled"}

    @pytest.mark.parametrize("damaged", [b"", b"comp", b"Compiled"])
    def test_one_that_is_not_what_was_made_is_made_again(self, tmp_path, damaged):
        self.compiled(tmp_path / "native").write_bytes(damaged)
        assert self.compiled(tmp_path / "native").read_bytes() == b"compiled"

    def test_a_link_in_the_place_of_the_library_is_not_followed(self, tmp_path):
        path = self.compiled(tmp_path / "native")
        (other := tmp_path / "other.so").write_bytes(b"compiled")
        path.unlink()
        path.symlink_to(other)
        assert not self.compiled(tmp_path / "native").is_symlink()
        assert other.read_bytes() == b"compiled"

    def test_a_library_without_its_hash_is_not_trusted(self, tmp_path):
        path = self.compiled(tmp_path / "native")
        path.write_bytes(b"planted")
        path.with_suffix(".sha256").unlink()
        assert self.compiled(tmp_path / "native").read_bytes() == b"compiled"

    def test_a_folder_that_others_can_write_is_refused(self, tmp_path):
        self.compiled(tmp_path / "native").parent.chmod(0o777)
        with pytest.raises(Unsafe, match="is open to other users; delete it"):
            self.compiled(tmp_path / "native")

    def test_a_folder_that_is_a_link_is_refused(self, tmp_path):
        self.compiled(tmp_path / "elsewhere")
        root = tmp_path / "native"
        root.mkdir()
        (root / f"user-{os.getuid()}").symlink_to(tmp_path / "elsewhere" / f"user-{os.getuid()}")
        with pytest.raises(Unsafe, match="is not a folder but a link"):
            self.compiled(root)

    def test_a_folder_of_another_user_is_refused(self, tmp_path, monkeypatch):
        other = os.getuid() + 1
        (tmp_path / f"user-{other}").mkdir(mode=0o700)
        monkeypatch.setattr(os, "getuid", lambda: other)
        with pytest.raises(Unsafe, match="belongs to another user"):
            self.compiled(tmp_path)

    def test_what_is_refused_is_told(self, fresh):
        folder = fresh / "native" / f"user-{os.getuid()}"
        folder.mkdir(parents=True)
        folder.chmod(0o777)
        found = native()
        assert found.library is None
        assert found.reason.startswith(f"plain PyTorch operations, because {folder} is open to")


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
    assert not list((fresh / "native").glob("*/*.so"))


def test_switched_off(fresh, monkeypatch):
    monkeypatch.setenv("CONCEPTSPACE_NATIVE", "0")
    assert native().library is None
    assert "CONCEPTSPACE_NATIVE=0" in native().reason
