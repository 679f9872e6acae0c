"""The offline page holds what the server would answer, and needs nothing but itself."""

from __future__ import annotations

import base64
import io
import json
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from fabricated import STEPS, make_space, write_run
from PIL import Image

from conceptspace.analysis.sentences import Finding
from conceptspace.errors import UserError
from conceptspace.presentation.explorer.library import Library
from conceptspace.presentation.explorer.offline import payload, write
from conceptspace.presentation.explorer.render import embedded
from conceptspace.presentation.explorer.run_findings import SettingFindings, findings_payload
from conceptspace.presentation.figures import Span, emergence_timeline
from conceptspace.presentation.style import Rendered
from conceptspace.store import Run

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
        inside = self.tags[-1][0] if self.tags else ""
        if inside == "script" and data.strip():
            self.scripts.append(data)
        elif inside != "style":
            self.text += data


def image_of(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


@pytest.fixture(scope="module")
def data(run_folder):
    return payload([Run(run_folder)], "t")


def test_it_holds_the_answers_of_the_server(data, run_folder):
    library = Library([run_folder])
    index = library.index(live=False)
    assert index.pop("sweeps") == [], "a page of files has no sweep that goes on"
    (token,) = data["trajectory"]
    assert data["index"] == index | {"title": "t"}
    assert data["trajectory"][token] == library.trajectory(token)
    assert data["settings"][token] == library.settings(token)
    assert data["turns"][token] == {
        name: turn for name, turn in library.turns([token]).items() if name == "11"
    }
    served = library.details(token)
    for name in ("training", "toml", "provenance", "notes"):
        assert data["details"][token][name] == served[name]


def test_the_table_is_the_trajectory(data, run_folder):
    content = base64.b64decode(data["table"].partition(",")[2])
    pd.testing.assert_frame_equal(
        pd.read_parquet(io.BytesIO(content)), Run(run_folder).trajectory()
    )


def test_it_holds_the_stored_images(run_folder):
    data = payload([Run(run_folder)], "t", image_budget=100_000_000)
    assert (data["images_shown"], data["images_generated"]) == (32, 32)
    (details,) = data["details"].values()
    sheet = details["sheets"]["overprompting"][str(STEPS[4])]
    stored = Run(run_folder).sheets("overprompting")[STEPS[4]]
    with Image.open(stored.path) as image:
        np.testing.assert_array_equal(image_of(data["images"][int(sheet["src"][1:])]), image)
    assert sheet["rows"][5] == ["0.15,0.15,0.85", "01"]


def test_images_are_cut_to_the_budget(run_folder):
    data = payload([Run(run_folder)], "t", image_budget=700_000)
    size = sum(len(base64.b64decode(uri.partition(",")[2])) for uri in data["images"])
    assert 200_000 < size <= 700_000
    assert data["images_shown"] < 32
    (details,) = data["details"].values()
    sheet = details["sheets"]["naive"][str(STEPS[0])]
    assert sheet["columns"] == data["images_shown"]
    shape = image_of(data["images"][int(sheet["src"][1:])]).shape
    assert shape == (4 * 16, data["images_shown"] * 16, 3)


def test_settings_and_checkpoints_give_way_to_a_small_budget(run_folder):
    small = payload([Run(run_folder)], "t", image_budget=200_000)
    (token,) = small["trajectory"]
    over = small["trajectory"][token]["protocols"][1]
    sheet = small["details"][token]["sheets"]["overprompting"][str(STEPS[20])]
    classes = ("00", "01", "10", "11")
    best = [[over["settings"][over["classes"][c]["best"][20]], c] for c in classes]
    assert sorted(sheet["rows"]) == sorted(best)
    tiny = payload([Run(run_folder)], "t", image_budget=30_000)
    kept = tiny["details"][token]["sheets"]["naive"]
    assert str(STEPS[0]) in kept
    assert len(kept) < len(STEPS)
    assert payload([Run(run_folder)], "t", image_budget=0)["images"] == []


def test_page_is_self_contained(run_folder, tmp_path):
    figures = {"timeline": Rendered(emergence_timeline([]))}
    path = write([Run(run_folder)], tmp_path / "p.html", figures=figures)
    page = Page(path.read_text())
    for tag, attributes in page.tags:
        assert tag not in {"iframe", "object", "base"}
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("data:", "#"))
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv"))
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    data = json.loads(page.scripts[0])
    assert data["figures"][0]["name"] == "timeline"
    assert data["figures"][0]["src"].startswith("data:image/svg+xml;base64,")


def test_every_name_is_text(tmp_path):
    run = write_run(tmp_path / HOSTILE, make_space(2), protocols={"naive": {"": 2900.0}})
    run.note(machine=HOSTILE, nested={"<b>": ["</script>"]})
    findings = [Finding("turn", HOSTILE), Finding("verdict", HOSTILE)]
    path = write(
        [run],
        tmp_path / "report.html",
        findings=findings_payload(
            [SettingFindings("</script>", [HOSTILE], findings)], lambda finding: HOSTILE
        ),
        note=HOSTILE,
        figures={HOSTILE: Rendered(emergence_timeline([Span("naive", 1, 2)]))},
    )
    html = path.read_text()
    page = Page(html)
    assert HOSTILE not in html
    assert HOSTILE in page.text
    assert not [a for t, a in page.tags if "onerror" in a]
    assert [t for t, _ in page.tags].count("script") == 2
    data = json.loads(page.scripts[0])
    assert data["index"]["runs"][0]["name"] == HOSTILE
    assert data["findings"]["*"]["findings"][0] == {
        "topic": "turn",
        "text": HOSTILE,
        "group": "</script>",
        "figure": HOSTILE,
    }


def test_embedded_json_cannot_leave_its_element():
    text = embedded({"name": "</script><!--&"})
    assert "<" not in text
    assert "&" not in text
    assert json.loads(text) == {"name": "</script><!--&"}


def test_page_of_several_runs(tmp_path):
    space = make_space(2)
    runs = [
        write_run(tmp_path / f"seed-{seed}", space, seed, {"naive": {"": 2900.0}})
        for seed in (0, 100)
    ]
    path = write(runs, tmp_path / "report.html")
    page = Page(path.read_text())
    assert "2 runs" in page.text
    data = json.loads(page.scripts[0])
    assert [run["seed"] for run in data["index"]["runs"]] == [0, 100]
    tokens = [run["token"] for run in data["index"]["runs"]]
    assert set(data["turns"]) == {*tokens, ",".join(tokens)}


def test_page_fits_and_is_deterministic(run_folder, tmp_path):
    figures = {str(n): Rendered(emergence_timeline([], title=str(n))) for n in range(6)}
    paths = [
        write([Run(run_folder)], tmp_path / name, figures=figures) for name in ("a.html", "b.html")
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].stat().st_size < 8_000_000


def test_damaged_and_unscored_runs_are_refused(tmp_path):
    run = write_run(tmp_path / "r", make_space(2), protocols={"naive": {"": 2900.0}})
    (run.path / "trajectory.parquet").write_bytes(b"half")
    with pytest.raises(UserError, match=r"trajectory\.parquet is damaged"):
        write([run], tmp_path / "x.html")
    (run.path / "trajectory.parquet").unlink()
    with pytest.raises(UserError, match=r"no trajectory\.parquet yet"):
        write([run], tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()
