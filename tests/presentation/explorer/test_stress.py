"""Fifty clients while runs are made, replaced and deleted: no failure, and nothing piles up.

The long test takes the seconds that ``CONCEPTSPACE_STRESS_SECONDS`` says, two minutes without it,
and prints the server's memory once a minute:
``CONCEPTSPACE_STRESS_SECONDS=3600 pytest -s -m slow tests/presentation/explorer/test_stress.py``.
A reader of the long test thinks ``CONCEPTSPACE_STRESS_PAUSE`` seconds between two requests in the
mean (2 without it); those of the short one do not think.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from fabricated import make_space, write_run

from conceptspace.files import write_table

CLIENTS = 50
RUNS = 6
PAGE = 4096
MEGABYTE = 2**20


class Server:
    """The command, and what it takes of the system."""

    def __init__(self, folder: Path) -> None:
        program = Path(sys.executable).with_name("conceptspace")
        self.errors = (folder.parent / "errors.txt").open("w+")
        self.process = subprocess.Popen(
            [program, "serve", folder, "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        assert self.process.stdout is not None
        found = re.search(r":(\d+)/", self.process.stdout.readline())
        assert found is not None
        self.port = int(found[1])

    def memory(self) -> int:
        """Bytes of resident memory."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * PAGE

    def busy(self) -> float:
        """Seconds of processor time."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def handles(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def close(self) -> str:
        """End it; what it wrote to the terminal."""
        self.process.kill()
        self.process.communicate()
        self.errors.seek(0)
        errors = self.errors.read()
        self.errors.close()
        return errors


class Load:
    """Clients that ask, and one thread that changes what they ask for, until they are stopped."""

    def __init__(self, server: Server, folder: Path, template: Path, pause: float) -> None:
        self.server, self.folder, self.template = server, folder, template
        self.pause = pause
        self.stopped = threading.Event()
        self.answers: Counter[int] = Counter()
        self.reopened = 0
        self.failures: list[str] = []
        self.changes = 0
        work = [lambda number=n: self.ask(number) for n in range(CLIENTS)] + [self.change]
        self.threads = [threading.Thread(target=self.guarded, args=(w,)) for w in work]

    def guarded(self, work) -> None:
        try:
            work()
        except Exception as error:
            self.failures.append(repr(error))

    def run(self, seconds: float) -> list[tuple[int, int]]:
        """Memory and handles, once a minute, and at least twenty times over so many seconds."""
        for thread in self.threads:
            thread.start()
        measured = []
        count = max(20, int(seconds / 60))
        for number in range(count):
            time.sleep(seconds / count)
            measured.append((self.server.memory(), self.server.handles()))
            print(
                f"{(number + 1) * seconds / count:5.0f} s: {measured[-1][0] / MEGABYTE:.1f} MB, "
                f"{measured[-1][1]} handles, processor {self.server.busy():.0f} s, "
                f"{sum(self.answers.values())} answers",
                flush=True,
            )
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        return measured

    def ask(self, number: int) -> None:
        chance = random.Random(number)
        tokens: list[str] = ["0" * 12]
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        while not self.stopped.wait(chance.uniform(0, 2 * self.pause)):
            one, some = chance.choice(tokens), ",".join(chance.sample(tokens, min(3, len(tokens))))
            method, path = chance.choice(
                [
                    *[("GET", "/api/index")] * 4,
                    *[("GET", f"/api/trajectories?runs={some}")] * 4,
                    ("GET", f"/api/details/{one}"),
                    ("GET", f"/api/settings/{one}"),
                    ("GET", f"/api/images/{one}/naive/{chance.choice((100, 4400))}"),
                    ("GET", f"/api/figures/{one}/curves.png"),
                    ("GET", f"/api/table.parquet?runs={some}"),
                    ("GET", f"/api/turns?runs={some}"),
                    ("GET", f"/api/details/{chance.randbytes(6).hex()}"),
                    ("HEAD", "/"),
                    ("POST", "/api/index"),
                ]
                + [("GET", f"/api/findings?runs={some}")] * (number == 0)
            )
            answer = self.asked(connection, method, path)
            content = answer.read()
            self.answers[answer.status] += 1
            if answer.status >= 500:
                self.failures.append(f"{path}: {answer.status} {content[:200]!r}")
            if answer.will_close or chance.random() < 0.1:
                connection.close()
            if path == "/api/index" and method == "GET":
                tokens = [run["token"] for run in json.loads(content)["runs"]] or tokens
        connection.close()

    def asked(self, connection, method: str, path: str) -> http.client.HTTPResponse:
        """The answer; as browsers do, a connection that the server closed is opened again."""
        used = connection.sock is not None
        try:
            connection.request(method, path)
            return connection.getresponse()
        except ConnectionError:
            if not used:
                raise
        self.reopened += 1
        connection.close()
        connection.request(method, path)
        return connection.getresponse()

    def change(self) -> None:
        """Make, replace, damage and delete runs, each change at once as another process would."""
        chance = random.Random(0)
        for number in itertools.count():
            if self.stopped.wait(0.05):
                return
            place = self.folder / f"run-{chance.randrange(RUNS)}"
            table = place / "trajectory.parquet"
            match chance.randrange(5):
                case 0:
                    shutil.rmtree(place, ignore_errors=True)
                case 1 if table.exists():
                    rows = pd.read_parquet(self.template / "trajectory.parquet")
                    write_table(table, rows[rows["step"] <= chance.choice((1000, 2000, 4400))])
                case 2 if place.exists():
                    (place / "run.json").write_text(chance.choice(('{"status": "run', "{}")))
                case _ if not place.exists():
                    made = self.folder.parent / f"made-{number}"
                    shutil.copytree(self.template, made)
                    config = made / "config.toml"
                    config.write_text(config.read_text().replace("seed = 0", f"seed = {number}"))
                    made.rename(place)
            self.changes += 1


def stress(folder: Path, seconds: float, pause: float) -> tuple[Load, list[tuple[int, int]]]:
    """Load on a server for so many seconds; memory and handles before, during and after it."""
    template = write_run(folder / "template", make_space(2), protocols={"naive": {"": 900.0}}).path
    (template / "figures").mkdir()
    (template / "figures" / "curves.png").write_bytes(b"\x89PNG figure")
    shown = folder / "shown"
    shutil.copytree(template, shown / "run-0")
    server = Server(shown)
    try:
        load = Load(server, shown, template, pause)
        idle = server.handles()
        measured = [(server.memory(), idle), *load.run(seconds)]
        time.sleep(1)
        measured.append((server.memory(), server.handles()))
    finally:
        errors = server.close()
    print(
        f"\n{sum(load.answers.values())} answers {dict(load.answers)}, {load.reopened} connections "
        f"opened again, {load.changes} changes; {measured[0][0] / MEGABYTE:.0f} MB before, "
        f"{measured[-1][0] / MEGABYTE:.0f} MB after, {measured[-1][1]} handles at the end"
    )
    assert load.failures == []
    assert "Traceback" not in errors
    assert load.answers[200] > 0
    assert load.changes > 0
    assert max(handles for _, handles in measured) < idle + 4 * CLIENTS
    assert measured[-1][1] <= idle + 5
    return load, measured


@pytest.mark.slow
def test_a_few_seconds(tmp_path):
    _, measured = stress(tmp_path, seconds=3, pause=0)
    assert measured[-1][0] < 1500 * MEGABYTE


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [float(os.environ.get("CONCEPTSPACE_STRESS_SECONDS", "120"))])
def test_for_long(tmp_path, seconds):
    _, measured = stress(tmp_path, seconds, float(os.environ.get("CONCEPTSPACE_STRESS_PAUSE", "2")))
    memory = [size / MEGABYTE for size, _ in measured]
    sixth = len(memory) // 6
    assert max(memory[-sixth:]) < max(memory[sixth : 2 * sixth]) + 50
