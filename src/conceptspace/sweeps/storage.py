"""Run folders in object storage, or wherever fsspec can write: worked on here, and brought back.

::

    URL/
      sweep.json, failures.json     as in a folder, see :mod:`conceptspace.sweeps.folder`
      runs/NAME/                    the files of the run's folder, and beside them
        hashes.json                 SHA-256 of each
        lease.json                  who works on it

A worker fetches the run's folder, works on it, and brings back what has changed after every
checkpoint: files in the order in which they were written, so that a worker lost on the way leaves
what it would have left in a folder. Before that, ``hashes.json`` takes in the hashes that are to
come, so that what is there always has one of those that it tells.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

from conceptspace import files
from conceptspace.errors import UserError
from conceptspace.files import make_folders, read_record, sha256, write_atomically, write_record
from conceptspace.run_folder import LOCK

HASHES = "hashes.json"
FETCHED = "fetched.json"
"""In a folder that a sweep was fetched into: from where."""

SMALL = ("config.toml", "run.json", "space.json", "trajectory.parquet")
"""What tells how a run stands."""

AT_ONCE = 16
"""Runs that are fetched at once."""

ABSENT = ""
"""Among the hashes of a file: it may also be missing."""


OBJECTS = {"s3", "s3a", "gs", "gcs", "abfs", "az", "adl", "oss"}
"""Stores without folders."""


def is_url(text: str) -> bool:
    """Whether a text names a place in a store and not a folder."""
    return "://" in text


class Store:
    """A place that fsspec knows, such as ``s3://bucket/sweep``.

    Raises:
        UserError: what it takes to speak with it is not installed, or it does not answer; likewise
            every method.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        with self.answering():
            import fsspec

            self.system, self.root = fsspec.core.url_to_fs(self.url)

    def read(self, path: str) -> bytes | None:
        """The content of a file; None if there is none."""
        with self.answering():
            try:
                content: bytes = self.system.cat_file(f"{self.root}/{path}")
            except FileNotFoundError:
                return None
            return content

    def write(self, path: str, content: bytes) -> None:
        """Write a file at once; readers see the old content or the new."""
        with self.answering():
            self._folder_of(path)
            self.system.pipe_file(f"{self.root}/{path}", content)

    def create(self, path: str, content: bytes) -> bool:
        """Write a file unless there is one; whether it was written."""
        with self.answering():
            self._folder_of(path)
            try:
                self.system.pipe_file(f"{self.root}/{path}", content, mode="create")
            except FileExistsError:
                return False
            return True

    def remove(self, path: str) -> None:
        """Remove a file; none is no error."""
        with self.answering():
            try:
                self.system.rm_file(f"{self.root}/{path}")
            except FileNotFoundError:
                return

    def _folder_of(self, path: str) -> None:
        """Make the folder of a file, where the store has folders."""
        names = self.system.protocol
        if OBJECTS.isdisjoint([names] if isinstance(names, str) else names):
            self.system.makedirs(f"{self.root}/{path}".rpartition("/")[0], exist_ok=True)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Tell in one sentence what is wrong with the store.

        Raises:
            UserError: whatever the store's own library raised.
        """
        try:
            yield
        except UserError:
            raise
        except ImportError as error:
            extra = "conceptspace[s3]" if self.url.startswith("s3:") else (error.name or "it")
            raise UserError(
                f"{self.url} needs {error}; install it: pip install '{extra}'"
            ) from None
        except Exception as error:  # each store has errors of its own
            reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
            raise UserError(f"{self.url} cannot be used: {reason}") from None


class StoredRun:
    """A run in a store, and its folder here.

    Args:
        store: of the sweep.
        name: of the run.
        folder: where it is worked on.
    """

    def __init__(self, store: Store, name: str, folder: Path) -> None:
        self.store, self.place, self.folder = store, f"runs/{name}", folder
        self._hashes: dict[str, list[str]] = {}
        self._seen: dict[str, tuple[tuple[int, int], str]] = {}

    def fetch(self, only: Iterable[str] = ()) -> list[str]:
        """Make the folder here equal to what is in the store, and verify it.

        A file that is here already with the right content is not fetched. A config that is not in
        the store yet stays.

        Args:
            only: paths in the run's folder; otherwise all, and others are removed here. Of a run
                that is not in the store nothing stays here.

        Returns:
            Sentences on damaged files, which are left out: the run makes them again.
        """
        self._hashes = self._listed()
        wanted = set(only) & self._hashes.keys() if only else self._hashes.keys()
        problems = []
        for path in sorted(wanted):
            accepted, here = self._hashes[path], self.folder / path
            if here.is_file() and self._hash(path) in accepted:
                continue
            content = self.store.read(f"{self.place}/{path}")
            if content is None and ABSENT in accepted:
                continue
            if content is None or sha256(content) not in accepted:
                where = f"{self.store.url}/{self.place}/{path}"
                wrong = "is missing" if content is None else "is not what was stored there"
                problems.append(f"{where} {wrong}; it is left out")
                files.DISK.remove(here)
                continue
            make_folders(here.parent)
            write_atomically(here, content)
        if not only:
            for path in set(self._files()) - wanted - {"config.toml"}:
                files.DISK.remove(self.folder / path)
        elif not self._hashes:
            rmtree(self.folder, ignore_errors=True)
        return problems

    def push(self) -> None:
        """Bring to the store what has changed here since it was fetched or brought there."""
        now = {path: self._hash(path) for path in self._files()}
        changed = [path for path in now if self._hashes.get(path) != [now[path]]]
        removed = self._hashes.keys() - now.keys()
        if not changed and not removed:
            return
        coming = {path: [*self._hashes.get(path, [ABSENT]), now[path]] for path in changed}
        going = {path: [*self._hashes[path], ABSENT] for path in removed}
        self._publish(self._hashes | coming | going)
        for path in changed:
            self.store.write(f"{self.place}/{path}", (self.folder / path).read_bytes())
        for path in removed:
            self.store.remove(f"{self.place}/{path}")
        self._hashes = {path: [digest] for path, digest in now.items()}
        self._publish(self._hashes)

    def thin(self) -> None:
        """Remove here what is in the store and does not tell how the run stands."""
        for path in self._files():
            if path not in SMALL and self._hashes.get(path) == [self._hash(path)]:
                files.DISK.remove(self.folder / path)

    def _files(self) -> list[str]:
        """Whole files of the folder, in the order in which they were written."""
        found = [
            (path.stat().st_mtime_ns, path.suffix == ".json", path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if path.is_file() and path.name != LOCK and path.suffix != ".tmp"
        ]
        return [path.as_posix() for *_, path in sorted(found)]

    def _hash(self, path: str) -> str:
        """SHA-256 of a file here, read again only when it has changed."""
        stat = (self.folder / path).stat()
        stamp = stat.st_mtime_ns, stat.st_size
        if self._seen.get(path, (None,))[0] != stamp:
            self._seen[path] = stamp, sha256((self.folder / path).read_bytes())
        return self._seen[path][1]

    def _listed(self) -> dict[str, list[str]]:
        content = self.store.read(f"{self.place}/{HASHES}")
        if content is None:
            return {}
        try:
            listed: dict[str, list[str]] = json.loads(content)["files"]
            if any(path.startswith("/") or ".." in path.split("/") for path in listed):
                raise ValueError("a file would lie outside the run")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{self.store.url}/{self.place}/{HASHES} is damaged ({error}); remove it, and the "
                "run begins again"
            ) from None
        return listed

    def _publish(self, hashes: dict[str, list[str]]) -> None:
        self.store.write(f"{self.place}/{HASHES}", json.dumps({"files": hashes}).encode())


def claim(store: Store, out: Path) -> None:
    """Mark a folder as one that a sweep is fetched into: its files are made equal to the store's.

    Raises:
        UserError: it holds something that was not fetched from there.
        OSError: it cannot be written.
    """
    mark = out / FETCHED
    if mark.exists():
        known = read_record(mark).get("url") == store.url
    else:
        known = not (out.exists() and any(out.iterdir()))
    if not known:
        raise UserError(
            f"{out} holds something that was not fetched from {store.url} and would be replaced; "
            "choose another folder with --out"
        )
    make_folders(out)
    write_record(mark, {"url": store.url})


def fetch_sweep(store: Store, out: Path, names: Iterable[str], only: Iterable[str]) -> list[str]:
    """Fetch the folders of runs, many at once.

    Args:
        store: of the sweep.
        out: the sweep's folder here.
        names: of the runs.
        only: see :meth:`StoredRun.fetch`.

    Returns:
        Sentences on damaged files, which are left out.
    """

    def fetch(name: str) -> list[str]:
        return StoredRun(store, name, out / "runs" / name).fetch(only)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [problem for found in pool.map(fetch, names) for problem in found]


def fetch_records(store: Store, out: Path, names: Iterable[str]) -> None:
    """Fetch what a sweep keeps of itself; what is not there is left.

    Raises:
        UserError: the store does not answer.
        OSError: the folder here cannot be written.
    """
    make_folders(out)
    for name in names:
        content = store.read(name)
        if content is not None:
            write_atomically(out / name, content)


def push_records(store: Store, out: Path, names: Iterable[str]) -> None:
    """Bring to the store what a sweep keeps of itself."""
    for name in names:
        if (out / name).is_file():
            store.write(name, (out / name).read_bytes())
