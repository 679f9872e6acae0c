"""How fast the page is: ``python tests/browser/measure.py [URL]``.

Without an address it fabricates 100 runs of 60 checkpoints under 4 protocols, serves them, and
prints the time to the first picture (with a server that has just started, and with a warm one), the
time from a pointer's move to the next frame, and the time of one step of the slider: first with the
mean of each setting, then with every run, protocol and class, 1600 lines of 60 points.
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
from typing import Any

from many import write_many
from playwright.sync_api import Page, sync_playwright

HOVER = """async () => {
  const pad = document.querySelector('#plot .pad'), box = pad.getBoundingClientRect(), times = [];
  for (let i = 0; i < 60; i++) {
    const clientX = box.left + box.width * (0.2 + 0.01 * i);
    const clientY = box.top + box.height * (0.3 + 0.02 * (i % 20)), before = performance.now();
    pad.dispatchEvent(new PointerEvent('pointermove', {bubbles: true, clientX, clientY}));
    await new Promise((done) => requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = done;
      port2.postMessage(0);
    }));
    times.push(performance.now() - before);
  }
  return times.sort((a, b) => a - b);
}"""

STEP = """async () => {
  const slider = document.querySelector('#time'), times = [];
  for (let i = 5; i < 15; i++) {
    const before = performance.now();
    slider.value = i;
    slider.dispatchEvent(new Event('input', {bubbles: true}));
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    times.push(performance.now() - before);
  }
  return times.sort((a, b) => a - b);
}"""

DRAWN = '#plot[data-lines]:not([data-lines="0"])'


def first_picture(page: Page, url: str) -> tuple[float, float]:
    """Seconds from asking for the page to the first lines, and to all of them."""
    start = time.perf_counter()
    page.goto(url)
    page.evaluate("document.querySelector('#plot').scrollIntoView()")
    page.wait_for_selector(DRAWN, state="attached")
    first = time.perf_counter() - start
    page.wait_for_selector("html[data-ready]", state="attached")
    return first, time.perf_counter() - start


def everything(page: Page) -> int:
    """Choose every run, protocol and class; returns the number of lines."""
    page.select_option("#mode", "runs")
    for box in page.locator("#protocols input").all():
        box.check()
    page.wait_for_timeout(1500)
    return int(page.locator("#plot").get_attribute("data-lines") or 0)


def summary(times: list[float]) -> str:
    middle, high = times[len(times) // 2], times[int(len(times) * 0.95)]
    return f"median {middle:.0f} ms, 95 % {high:.0f} ms, longest {times[-1]:.0f} ms"


def measure(page: Page, url: str) -> None:
    for server in ("just started", "warm"):
        first, everyone = first_picture(page, url)
        print(f"server {server}: first picture {first:.2f} s, all runs {everyone:.2f} s")
    page.wait_for_timeout(3000)
    lines = page.locator("#plot").get_attribute("data-lines")
    print(
        f"{lines} lines: hover {summary(page.evaluate(HOVER))}; step {summary(page.evaluate(STEP))}"
    )
    lines = everything(page)
    print(
        f"{lines} lines: hover {summary(page.evaluate(HOVER))}; step {summary(page.evaluate(STEP))}"
    )


def main(url: str = "") -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        serving: Any = None
        if not url:
            write_many(Path(folder) / "runs")
            program = Path(sys.executable).with_name("conceptspace")
            command = [str(program), "serve", f"{folder}/runs", "--port", "0"]
            serving = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            found = re.search(r"http://\S+", serving.stdout.readline())
            assert found is not None
            url = found[0]
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        measure(browser.new_page(viewport={"width": 1280, "height": 900}), url)
        browser.close()
        if serving:
            serving.terminate()
            serving.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
