"""Chromium, run folders, and the explorer on them: served, or as a file."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from conceptspace.cli.standing import Standing
from conceptspace.presentation.explorer.ask import PointAsker
from conceptspace.presentation.explorer.collected import open_library
from conceptspace.presentation.explorer.server import listen, server

sys.path.append(str(Path(__file__).parent.parent / "presentation"))

from shown import SHOWN, write_shown

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb"]
expect.set_options(timeout=60_000)  # milliseconds; a busy machine reads the runs in 30 s


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.fail(f"there is no Chromium at {CHROMIUM}; `make test-browser` installs it")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(
        viewport={"width": 1280, "height": 1000}, accept_downloads=True, reduced_motion="reduce"
    )
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on which no error may be thrown and nothing logged as one.

    Tests wait by ``expect``: what ``wait_for_function`` polls, the page's content security policy
    refuses, unless the first look already succeeds.
    """
    wrong: list[str] = []
    made = context.new_page()
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))

    def listen_to(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            wrong.append(message.text)

    made.on("console", listen_to)
    yield made
    assert wrong == []


class Served:
    """The explorer on a folder."""

    def __init__(self, folder: Path, asker: PointAsker | None = None) -> None:
        self.folder = folder
        self.opened = listen("127.0.0.1", 0, "")
        self.url = f"http://127.0.0.1:{self.opened.getsockname()[1]}/"
        self.server = server(open_library([folder], asker, Standing([folder])), self.opened, "")
        kwargs = {"sockets": [self.opened]}
        self.thread = threading.Thread(target=self.server.run, kwargs=kwargs, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.opened.close()


@pytest.fixture
def serve() -> Iterator:
    """A function from a folder to its :class:`Served` explorer."""
    running: list[Served] = []

    def start(folder: Path, asker: PointAsker | None = None) -> Served:
        running.append(Served(folder, asker))
        return running[-1]

    yield start
    for each in running:
        each.stop()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of :func:`shown.write_shown`; do not write into it."""
    root = tmp_path_factory.mktemp("shown") / SHOWN
    write_shown(root)
    return root


@pytest.fixture(scope="session")
def shown(folder: Path) -> Iterator[Served]:
    """The explorer on that folder."""
    started = Served(folder)
    yield started
    started.stop()
