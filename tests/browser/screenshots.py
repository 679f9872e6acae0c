"""Pictures of the page for the docs: ``python tests/browser/screenshots.py FOLDER [OUT]``.

Serves the runs of a folder and writes ``explorer-SIZE-THEME.png`` into ``OUT``, docs/images unless
said.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from conftest import FLAGS, Served

IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"
SIZES = {"wide": (1280, 1720), "narrow": (390, 2150)}


def ready(page: Page, url: str) -> None:
    """Wait until everything that is in sight is drawn."""
    page.goto(url)
    page.wait_for_selector("html[data-ready]", state="attached")
    expect(page.locator("#evidence .lead").first).not_to_contain_text("Reading", timeout=120_000)
    page.wait_for_selector("#tiles canvas, #tiles p")
    page.wait_for_timeout(2500)


def shrunk(png: bytes) -> bytes:
    """The same picture in fewer bytes."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def main(folder: str, out: str = str(IMAGES)) -> None:
    served = Served(Path(folder))
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for size, (width, height) in SIZES.items():
            for theme in ("light", "dark"):
                context = browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme=theme
                )
                page = context.new_page()
                ready(page, served.url)
                path = Path(out) / f"explorer-{size}-{theme}.png"
                path.write_bytes(shrunk(page.screenshot()))
                print(path, path.stat().st_size)
                context.close()
        browser.close()
    served.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
