"""The page's data is exact, its text is escaped, and it needs nothing but itself."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from fabricated import STEPS, make_images, make_space, write_run
from PIL import Image

from conceptspace.errors import UserError
from conceptspace.presentation.figures import Emergence, emergence_timeline, save
from conceptspace.presentation.report import Finding, payload, render, write
from conceptspace.presentation.report.render import embedded_json
from conceptspace.store import Run
from conceptspace.tables import JOINT

HOSTILE = "<img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Tags, attributes and data of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script" and data.strip():
            self.scripts.append(data)
        self.text += data


def image_of(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


@pytest.fixture(scope="module")
def data(run_folder):
    space = make_space(2)
    return payload([Run(run_folder)], space, make_images(space))


def test_payload_describes_concepts_and_classes(data):
    assert data["concepts"][0] == {"name": "color", "labels": ["red", "blue"]}
    named = [(c["name"], c["words"], c["ood"]) for c in data["classes"]]
    assert named == [
        ("00", "red large", False),
        ("01", "red small", False),
        ("10", "blue large", False),
        ("11", "blue small", True),
    ]
    assert image_of(data["classes"][3]["image"]).shape == (16, 16, 3)


def test_payload_holds_the_trajectory_exactly(data, run_folder):
    table = Run(run_folder).trajectory()
    naive, over = data["runs"][0]["protocols"]
    assert (naive["name"], over["name"]) == ("naive", "overprompting")
    assert (naive["settings"], len(over["settings"])) == ([""], 3)
    assert naive["steps"] == list(STEPS)
    for row in table.itertuples():
        protocol = naive if row.protocol == "naive" else over
        index = protocol["settings"].index(row.setting), protocol["steps"].index(row.step)
        point = protocol["points"][row.concept_class][index[0]][index[1]]
        if row.concept == JOINT:
            assert point[:2] == [32, round(row.accuracy, 4)]
        else:
            place = ["color", "size"].index(row.concept)
            assert point[2][place] == round(row.accuracy, 4)
            assert point[3][place] == round(row.coordinate, 4)


def test_payload_knows_the_best_setting_of_each_step(data):
    over = data["runs"][0]["protocols"][1]
    for at in range(len(STEPS)):
        joint = [points[at][1] for points in over["points"]["11"]]
        assert joint[over["best"]["11"][at]] == max(joint)


def test_payload_holds_the_stored_images(run_folder):
    space = make_space(2)
    data = payload([Run(run_folder)], space, {}, image_budget=100_000_000)
    assert (data["images_shown"], data["images_generated"]) == (32, 32)
    over = data["runs"][0]["protocols"][1]
    sheet = over["sheets"][4]
    stored = Run(run_folder).sheets("overprompting")[STEPS[4]]
    np.testing.assert_array_equal(
        image_of(data["images"][sheet["image"]]), np.asarray(Image.open(stored.path))
    )
    assert sheet["rows"][5] == ["0.15,0.15,0.85", "01"]
    assert data["classes"][0]["image"] is None


def test_images_are_cut_to_the_budget(run_folder):
    data = payload([Run(run_folder)], make_space(2), {}, image_budget=700_000)
    size = sum(len(base64.b64decode(uri.partition(",")[2])) for uri in data["images"])
    assert size <= 700_000
    assert data["images_shown"] < 32
    sheet = data["runs"][0]["protocols"][0]["sheets"][0]
    assert sheet["columns"] == data["images_shown"]
    shape = image_of(data["images"][sheet["image"]]).shape
    assert shape == (4 * 16, data["images_shown"] * 16, 3)


def test_settings_and_checkpoints_give_way_to_a_small_budget(run_folder):
    runs, space = [Run(run_folder)], make_space(2)
    small = payload(runs, space, {}, image_budget=200_000)
    over = small["runs"][0]["protocols"][1]
    sheet = over["sheets"][20]
    best = [[over["settings"][over["best"][c][20]], c] for c in ("00", "01", "10", "11")]
    assert sorted(sheet["rows"]) == sorted(best)
    assert image_of(small["images"][sheet["image"]]).shape[0] == 4 * 16
    tiny = payload(runs, space, {}, image_budget=30_000)
    kept = [sheet is not None for sheet in tiny["runs"][0]["protocols"][0]["sheets"]]
    assert kept[0]
    assert not all(kept)
    assert sum(len(uri) for uri in tiny["images"]) < 30_000 * 1.4
    none = payload(runs, space, {}, image_budget=0)
    assert none["images"] == []


def test_what_was_not_measured_is_null(run_folder, tmp_path):
    run = write_run(tmp_path / "partial", make_space(2), protocols={"naive": {"": 2900.0}})
    table = run.trajectory()
    keep = (table["concept_class"] == "11") & (table["step"] != STEPS[2])
    table[keep].to_parquet(run.path / "trajectory.parquet")
    (run.path / "samples" / "naive" / f"step-{STEPS[0]:08d}.json").unlink()
    data = payload([run], make_space(2), {})
    naive = data["runs"][0]["protocols"][0]
    assert naive["points"]["00"] == [[None] * (len(STEPS) - 1)]
    assert naive["sheets"][0] is None
    assert STEPS[2] not in naive["steps"]
    json.dumps(data, allow_nan=False)


def test_page_is_self_contained(data):
    page = Page(render(data, title="t", figures={"timeline": emergence_timeline([])}))
    for tag, attributes in page.tags:
        assert tag not in {"link", "iframe", "object", "base"}
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("data:", "#"))
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    script = page.scripts[-1]
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|innerHTML|eval\(", script)
    assert script.count("\n") <= 301


def test_every_name_is_shown_as_text(tmp_path):
    run = write_run(tmp_path / HOSTILE, make_space(2), protocols={"naive": {"": 2900.0}})
    run.note(machine=HOSTILE, nested={"<b>": ["</script>"]})
    path = write(
        run,
        make_space(2),
        tmp_path / "report.html",
        findings=[HOSTILE, Finding("</script>", HOSTILE)],
        figures={HOSTILE: emergence_timeline([Emergence("naive", 1, 2)])},
        class_images=make_images(make_space(2)),
    )
    html = path.read_text()
    page = Page(html)
    assert HOSTILE not in html
    assert page.text.count(HOSTILE) >= 6
    assert not [a for t, a in page.tags if "onerror" in a]
    assert [t for t, _ in page.tags].count("script") == 2
    data = json.loads(page.scripts[0])
    assert data["runs"][0]["name"] == HOSTILE


def test_embedded_json_cannot_leave_its_element():
    text = embedded_json({"name": "</script><!--&"})
    assert "<" not in text
    assert "&" not in text
    assert json.loads(text) == {"name": "</script><!--&"}


def test_page_of_several_runs_with_files_as_figures(tmp_path):
    space = make_space(2)
    runs = [
        write_run(tmp_path / f"seed-{seed}", space, seed, {"naive": {"": 2900.0}})
        for seed in (0, 100)
    ]
    png, svg = save(emergence_timeline([]), tmp_path / "figure")
    path = write(runs, space, tmp_path / "report.html", figures={"one": png, "two": svg})
    page = Page(path.read_text())
    assert "2 runs" in page.text
    assert [run["seed"] for run in json.loads(page.scripts[0])["runs"]] == [0, 100]
    sources = [a["src"][:22] for t, a in page.tags if t == "img" and a["src"]]
    assert sources == ["data:image/png;base64,", "data:image/svg+xml;bas"]
    assert 'preset = "quick"' in page.text
    assert "versions.torch" in page.text


def test_page_fits_and_is_deterministic(run_folder, tmp_path):
    space = make_space(2)
    figures = {str(n): emergence_timeline([], title=str(n)) for n in range(6)}
    paths = [
        write(Run(run_folder), space, tmp_path / name, figures=figures, class_images={})
        for name in ("a.html", "b.html")
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].stat().st_size < 8_000_000


def test_a_finding_needs_its_figure(data):
    with pytest.raises(UserError, match="the figure 'gone'"):
        render(data, title="t", findings=[Finding("text", "gone")])
