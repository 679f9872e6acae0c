"""How fast 10 000 collected runs are: ``python tests/browser/measure_collection.py [RUNS]``.

It writes the collection of so many runs of 24 checkpoints under 4 protocols, serves it, and prints
the time from asking for the page to the list of runs, from choosing 100 of them to the last line
drawn, and the most memory that the server has held.
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


def first_table(page: Page, url: str) -> float:
    """Seconds from asking for the page to the first rows of its table of runs."""
    start = time.perf_counter()
    page.goto(url)
    page.wait_for_selector("#run-table tbody tr", state="attached")
    found = time.perf_counter() - start
    page.wait_for_selector(READY, state="attached")
    return found


def choose_hundred(page: Page, query: str) -> float:
    """Choose the runs that a filter lists; seconds until all of them are drawn."""
    page.fill("#filter", query)
    page.wait_for_timeout(500)
    start = time.perf_counter()
    page.click("#choose-shown")
    page.wait_for_selector(READY, state="detached")
    page.wait_for_selector(READY, state="attached")
    return time.perf_counter() - start


def peak(process: int) -> float:
    """The most memory that a process has held, GiB."""
    told = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", told)
    assert found is not None
    return int(found[1]) / 2**20


def main(runs: str = "10000") -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        start = time.perf_counter()
        write_many(Path(folder) / "collection", int(runs))
        print(f"{runs} runs written in {time.perf_counter() - start:.0f} s")
        code = "from conceptspace.cli import main; main()"
        command = [sys.executable, "-c", code, "serve", f"{folder}/collection", "--port", "0"]
        serving = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert serving.stdout is not None
        found = re.search(r"http://\S+", serving.stdout.readline())
        assert found is not None
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        for server in ("just started", "warm"):
            print(f"server {server}: first table {first_table(page, found[0]):.2f} s")
        for setting in ("color_separation-0.2,learning_rate-0.001,dropout-0.1/", "seed=7"):
            seconds = choose_hundred(page, setting)
            print(f"{page.locator('#chosen').inner_text()}: drawn in {seconds:.2f} s")
        print(f"server: {peak(serving.pid):.2f} GiB at most")
        browser.close()
        serving.terminate()
        serving.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
