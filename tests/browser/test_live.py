"""The page while runs train, and with folders of every kind of name and damage."""

from __future__ import annotations

import json
import os
import re
import shutil
import time

import pandas as pd
import pytest
from looking import expect_label, expect_lines, label, opened
from playwright.sync_api import expect

from conceptspace.events import Evaluated, Stopped
from conceptspace.store import Run
from conceptspace.sweeps.folder import begin, remembered
from conceptspace.sweeps.plan import Plan
from conceptspace.sweeps.progress import Failed
from planted import Behavior, plant
from tiny import tiny_config, tiny_session

pytestmark = pytest.mark.browser

NAMES = (
    "<img src=x onerror=alert(1)>",
    "..%2F..%2Fx",
    "a'\"&<script>alert(2)<",
    "‮evil\u200b ☃",
    "x" * 200,
)


def test_a_run_is_watched_while_it_trains(page, serve, tmp_path, probe_cache_folder):
    runs = tmp_path / "runs"
    runs.mkdir()
    page.goto(serve(runs).url)
    expect(page.locator("#trouble")).to_contain_text("no run here yet")
    page.evaluate("window.sameDocument = true")
    config = tiny_config(train__steps=12, train__checkpoint_steps=(2, 4, 6, 8, 10, 12))
    seen: list[int] = []
    session = tiny_session(runs / "training", config, probe_cache_folder)
    try:
        for event in session.execute(lambda: len(seen) == 3):
            if not isinstance(event, Evaluated):
                continue
            seen.append(event.step)
            if event.step == 4:
                expect(page.locator("#now")).to_have_text("step 2")
                expect(page.locator(".status")).to_have_text("running")
                expect(page.locator("#facts")).to_contain_text("1 running")
    except Stopped:
        pass
    assert seen == [2, 4, 6]
    expect(page.locator(".status")).to_have_text("stopped")
    expect(page.locator("#now")).to_have_text("step 6")
    expect(page.locator("#facts")).to_contain_text("1 stopped")
    expect(page.locator("#tiles canvas")).to_have_count(1)
    for _ in tiny_session(runs / "training", config, probe_cache_folder).execute():
        pass
    expect(page.locator(".status")).to_have_text("finished")
    expect(page.locator("#now")).to_have_text("step 12")
    assert page.evaluate("window.sameDocument")


def test_it_tells_how_a_sweep_stands_and_why_runs_failed(page, serve, tmp_path):
    plans = [Plan(f"seed-{seed}", tiny_config(seed=seed)) for seed in (0, 1)]
    begin(tmp_path, plans, at_once=1)
    Run(plant(plans[0], tmp_path, Behavior())).note(status="finished", seconds=7200.0)
    assert list(remembered([Failed(plans[1], "there is no <b>room</b>")], tmp_path))
    page.goto(serve(tmp_path).url)
    summary = page.locator("#sweeps summary")
    expect(summary).to_contain_text("2 runs: 1 done, 1 failed")
    summary.click()
    line = page.locator("#sweeps li")
    expect(line).to_be_visible()
    expect(line).to_have_text("seed-1: failed, there is no <b>room</b>")
    begin(tmp_path, plans, at_once=1)
    expect(page.locator("#sweeps p")).to_contain_text(
        "2 runs: 1 done, 1 waiting; about 2.0 hours left"
    )


def test_the_step_that_is_looked_at_stays_when_a_checkpoint_comes(page, serve, folder, tmp_path):
    shutil.copytree(folder / "separation-0.2" / "seed-0", tmp_path / "run")
    path = tmp_path / "run" / "trajectory.parquet"
    table = pd.read_parquet(path)
    table[table.step <= 1500].to_parquet(path)
    opened(page, serve(tmp_path).url)
    page.locator("#time").fill("2")
    expect(page.locator("#now")).to_have_text("step 750")
    table.to_parquet(path)
    expect(page.locator("#run-table tbody tr")).to_contain_text("3,000")
    expect(page.locator("#now")).to_have_text("step 750")


def test_a_killed_run_is_shown_as_silent(page, serve, folder, tmp_path):
    shutil.copytree(folder / "separation-0.2" / "seed-0", tmp_path / "killed")
    (tmp_path / "killed" / "run.json").write_text(json.dumps({"status": "running"}))
    old = time.time() - 3600
    for root, folders, files in os.walk(tmp_path / "killed"):
        for name in [*folders, *files, "."]:
            os.utime(os.path.join(root, name), (old, old))
    opened(page, serve(tmp_path).url)
    expect(page.locator(".status")).to_have_text("silent for 60 minutes")


def test_a_lost_server_is_reported_and_found_again(context, serve, folder):
    page = context.new_page()
    served = serve(folder)
    opened(page, served.url)
    context.set_offline(True)
    expect(page.locator("#trouble")).to_contain_text("does not answer")
    expect(page.locator("#live")).to_have_text("not connected")
    context.set_offline(False)
    expect(page.locator("#trouble")).to_be_hidden()
    expect(page.locator("#live")).to_have_text("live")


def with_seed(run, place, seed):
    """A copy of a run that is one of its own: copies do not count."""
    shutil.copytree(run, place)
    config = place / "config.toml"
    config.write_text(re.sub(r"^seed = \d+", f"seed = {seed}", config.read_text(), flags=re.M))
    table = pd.read_parquet(place / "trajectory.parquet")
    table.assign(seed=seed).to_parquet(place / "trajectory.parquet")


def test_hostile_names_are_text(page, serve, folder, tmp_path):
    for seed, name in enumerate(NAMES):
        with_seed(folder / "separation-0.2" / "seed-0", tmp_path / name, seed)
        information = {"status": NAMES[0], "<b>": {"</script>": NAMES[2]}}
        (tmp_path / name / "run.json").write_text(json.dumps(information))
    row = {"claim": NAMES[0], "verdict": NAMES[2], "effect": "</td><script>alert(3)</script>"}
    (tmp_path / "ledger.json").write_text(json.dumps([row]))
    opened(page, serve(tmp_path).url)
    names = page.locator("#run-table td.run").all_text_contents()
    assert sorted(names) == sorted(NAMES)
    page.select_option("#mode", "runs")
    expect_lines(page, 5 * 4)
    for place in ("#plot", "#multiples", "#race", "#emergence", "#curve-loss"):
        label(page, place)
    for summary in page.locator("#configs summary").all():
        summary.click()
    expect(page.locator("#configs")).to_contain_text("<b>.</script>")
    page.locator("#sheet-box").scroll_into_view_if_needed()
    expect(page.locator("#sheet")).to_have_attribute("data-rows", "12")
    expect(page.locator("#ledgers")).to_contain_text("<script>alert(3)</script>")
    with page.expect_download() as saved:
        page.locator("#plot .tools button", has_text="SVG").click()
    assert saved.value.path().stat().st_size > 1000
    assert page.locator("img[src=x], td script, li script").count() == 0


def test_damaged_and_foreign_folders_do_not_break_the_page(page, serve, folder, tmp_path):
    whole = folder / "separation-0.2" / "seed-0"
    names = ("whole", "torn", "toml", "json", "half-sheet", "unknown-classes")
    for seed, name in enumerate(names):
        with_seed(whole, tmp_path / name, seed)
    (tmp_path / "torn" / "trajectory.parquet").write_bytes(b"PAR1 half of a file")
    (tmp_path / "toml" / "config.toml").write_bytes(b"\xff\xfe\x00 = [")
    (tmp_path / "json" / "run.json").write_text('{"status": "finis')
    for path in (tmp_path / "half-sheet" / "samples" / "naive").glob("*.png"):
        path.write_bytes(path.read_bytes()[:200])
    table = pd.read_parquet(tmp_path / "unknown-classes" / "trajectory.parquet")
    odd = table.assign(concept_class=table.concept_class.replace("11", "<b>"))
    odd.to_parquet(tmp_path / "unknown-classes" / "trajectory.parquet")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "config.toml").write_text('title = "something else"\n')
    (tmp_path / "empty" / "checkpoints").mkdir(parents=True)
    (tmp_path / "ledger.json").write_text("[{")
    opened(page, serve(tmp_path).url)

    def problem(name):
        cell = page.locator("#run-table td.run", has_text=re.compile(f"^{name}"))
        return cell.locator(".problem")

    expect(problem("torn")).to_contain_text("trajectory.parquet is damaged")
    expect(problem("toml")).to_contain_text("not valid TOML")
    expect(problem("json")).to_contain_text("run.json is damaged")
    expect(problem("foreign")).to_contain_text("there is no setting title")
    expect(problem("empty")).to_contain_text("has no config.toml")
    expect(problem("unknown-classes")).to_contain_text("rows of classes or concepts")
    expect(problem("whole")).to_have_count(0)
    expect(page.locator("#chosen")).to_contain_text("3 cannot be read")
    expect(page.locator("#ledgers")).to_contain_text("cannot be read")
    page.select_option("#mode", "runs")
    page.locator("#plot").scroll_into_view_if_needed()
    expect(page.locator("#plot")).to_have_attribute("data-lines", re.compile(r"^(1[2-9]|[2-9]\d)$"))
    page.fill("#filter", "half-sheet")
    page.click("#choose-shown")
    expect(page.locator("#tiles")).to_contain_text(re.compile(r"step-\d+\.png is damaged"))
    for place in ("#multiples", "#race", "#emergence", "#curve-loss"):
        assert label(page, place)


def test_kept_runs_say_that_there_are_no_images(page, serve, folder, tmp_path):
    for seed in (0, 1):
        kept = tmp_path / f"seed-{seed}"
        kept.mkdir()
        for name in ("config.toml", "run.json", "trajectory.parquet"):
            shutil.copy(folder / "separation-0.3" / f"seed-{seed}" / name, kept / name)
    opened(page, serve(tmp_path).url)
    expect_lines(page, 4)
    expect(page.locator("#tiles")).to_have_text("These runs keep no images.")
    page.locator("#sheet-box").scroll_into_view_if_needed()
    expect(page.locator("#sheet-note")).to_have_text("This run keeps no images.")
    expect_label(page, "#curve-loss", "no training log")
    expect(page.locator("#evidence")).to_contain_text("No scores of single images were kept")
