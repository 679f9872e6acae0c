"""The page of a table in the browser: it draws, is silent on images, gives the table back."""

from __future__ import annotations

import pandas as pd
import pytest
from looking import opened
from playwright.sync_api import expect

from conceptspace.analysis.reading import read_trajectory
from conceptspace.presentation.table_page import analyze

pytestmark = pytest.mark.browser

ROWS = pd.DataFrame(
    [
        {"step": step, "skill": skill, "plain": plain, "few": few}
        for step, plain, few in [(1, 0.1, 0.1), (2, 0.1, 0.9), (3, 0.1, 0.9), (4, 0.1, 0.9)]
        for skill in ("add", "carry")
    ]
)


@pytest.fixture
def of_table(page, tmp_path):
    table = read_trajectory(ROWS, {"skill": "concept"}, accuracies={"plain": "plain", "few": "few"})
    analyze(table, tmp_path / "page.html", title="Skills")
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    opened(page, (tmp_path / "page.html").as_uri())
    yield page
    assert errors == []


def test_both_ways_are_drawn_and_nothing_of_images(of_table):
    expect(of_table.locator("#plot")).to_have_attribute("data-lines", "2")
    expect(of_table.locator("#verdict-text .answer")).to_contain_text('Hidden window of "add": yes')
    expect(of_table.locator("#sheet-box")).to_be_hidden()
    expect(of_table.locator("#curve-loss")).to_be_hidden()
    expect(of_table.locator("#curve-joint")).to_be_hidden()
    expect(of_table.locator("#what")).to_have_text("naive, run, step 4.")
    for word in ("image", "trained", "config"):
        assert word not in of_table.locator("main").inner_text().lower()


def test_the_table_comes_back_as_csv(of_table):
    with of_table.expect_download() as saved:
        of_table.locator("#save-csv").click()
    found = pd.read_csv(saved.value.path())
    assert len(found) == 16
    assert (
        found[(found["protocol"] == "few") & (found["step"] == 2)]["accuracy"].tolist() == [0.9] * 2
    )
