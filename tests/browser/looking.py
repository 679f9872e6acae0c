"""What tests in a browser look at on the page, and wait for."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect


def opened(page: Page, url: str) -> Page:
    """The page once every run has been read."""
    page.goto(url)
    page.wait_for_selector("html[data-ready]", state="attached")
    return page


def expect_lines(page: Page, count: int) -> None:
    """Wait for so many lines in concept space."""
    page.locator("#plot").scroll_into_view_if_needed()
    expect(page.locator("#plot")).to_have_attribute("data-lines", str(count))


def chosen_point(page: Page) -> str:
    """Class, protocol, run and step; its scores and the note of a turn come later."""
    return page.locator("#what").inner_text().split(":")[0]


def drawing(page: Page) -> str:
    """What is painted in concept space."""
    return page.evaluate("document.querySelector('#plot canvas').toDataURL()")


def label(page: Page, place: str) -> str:
    """What a screen reader says of a drawing."""
    page.locator(place).scroll_into_view_if_needed()
    page.wait_for_timeout(120)
    return page.locator(f"{place} .pad").get_attribute("aria-label") or ""


def expect_label(page: Page, place: str, text: str) -> None:
    """Wait until a screen reader says ``text`` of a drawing."""
    page.locator(place).scroll_into_view_if_needed()
    expect(page.locator(f"{place} .pad")).to_have_attribute(
        "aria-label", re.compile(re.escape(text))
    )


def expect_redrawn(page: Page, before: str) -> None:
    """Wait until concept space is painted otherwise than ``before``."""
    for _ in range(300):
        if drawing(page) != before:
            return
        page.wait_for_timeout(100)
    pytest.fail("concept space is painted as before")
