"""How fast 10 000 collected runs are: ``measure_collection.py [RUNS [FOLDER]]``.

It writes the collection of so many runs of 24 checkpoints under 4 protocols, or takes the one that
lies in FOLDER, serves it, and prints the time from asking for the page to the list of runs, from
choosing 100 of them to the last line drawn, what of it the page's main thread and the server were
computing (on busy cores they wait for the rest), and the most memory that the server has held.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from collected import write_many

READY = "html[data-ready]"
DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Drawings are made in the frame after the one that asks for them."""


class Clock:
    """Seconds on the wall, of the page's main thread, and of the server."""

    def __init__(self, page: Page, server: int) -> None:
        self.page, self.server = page, server
        self.session = page.context.new_cdp_session(page)
        self.session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def start(self, *, visit: bool = False) -> None:
        """Begin; the page's own clock begins anew with each visit."""
        wall, page, server = self._now()
        self.begun = wall, 0.0 if visit else page, server

    def elapsed(self) -> str:
        wall, page, server = (b - a for a, b in zip(self.begun, self._now(), strict=True))
        return f"{wall:.2f} s (computing: page {page:.2f} s, server {server:.2f} s)"

    def wait_for_the_server(self) -> None:
        """Until it has computed nothing for a second, as the findings of a choice come later."""
        before = -1.0
        while (now := self._now()[2]) > before:
            before = now
            self.page.wait_for_timeout(1000)

    def _now(self) -> tuple[float, float, float]:
        found = self.session.send("Performance.getMetrics")["metrics"]
        page = {each["name"]: each["value"] for each in found}["TaskDuration"]
        fields = Path(f"/proc/{self.server}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return time.perf_counter(), page, ticks / os.sysconf("SC_CLK_TCK")


def first_table(page: Page, url: str) -> float:
    """Seconds from asking for the page to the first rows of its table of runs."""
    start = time.perf_counter()
    page.goto(url)
    page.wait_for_selector("#run-table tbody tr", state="attached")
    return time.perf_counter() - start


def choose_listed(page: Page) -> float:
    """Choose the runs that the filter lists; seconds until all of them are drawn."""
    start = time.perf_counter()
    page.click("#choose-shown")
    page.wait_for_selector(READY, state="detached")
    page.wait_for_selector(READY, state="attached")
    page.evaluate(DRAWN)
    return time.perf_counter() - start


def peak(process: int) -> float:
    """The most memory that a process has held, GiB."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 2**20


def main(runs: str = "10000", kept: str = "") -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        start = time.perf_counter()
        collection = Path(kept or folder) / "collection"
        if not collection.exists():
            write_many(collection, int(runs))
            print(f"{runs} runs written in {time.perf_counter() - start:.0f} s")
        code = "from conceptspace.cli import main; main()"
        command = [sys.executable, "-c", code, "serve", str(collection), "--port", "0"]
        serving = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert serving.stdout is not None
        found = re.search(r"http://\S+", serving.stdout.readline())
        assert found is not None
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        clock = Clock(page, serving.pid)
        for server in ("just started", "warm"):
            clock.start(visit=True)
            first_table(page, found[0])
            print(f"server {server}: first table {clock.elapsed()}")
            page.wait_for_selector(READY, state="attached")
            clock.wait_for_the_server()
        for setting in ("color_separation-0.2,learning_rate-0.001,dropout-0.1/", "seed=7"):
            page.fill("#filter", setting)
            clock.wait_for_the_server()
            clock.start()
            choose_listed(page)
            print(f"{page.locator('#chosen').inner_text()}: drawn in {clock.elapsed()}")
        print(f"server: {peak(serving.pid):.2f} GiB at most")
        browser.close()
        serving.terminate()
        serving.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
