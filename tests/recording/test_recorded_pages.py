"""Pages of recordings: the report, the server's answers, what they tell of."""

from __future__ import annotations

import json
import threading
import urllib.request
from pathlib import Path

import pytest
import torch
from foreign import (
    LOUDER,
    record,
    recorder,
    training,
)

from conceptspace.cli import main
from conceptspace.presentation.explorer.library import Library
from conceptspace.presentation.explorer.server import listen, server
from conceptspace.worlds.naming import named_space


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recorded") / "mine"
    record(folder, 8)
    return folder


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    for seed in (0, 1):
        record(folder / f"narrow-{seed}", 8, seed=seed, settings={"width": 8})
    return folder


class TestPages:
    def test_the_command_line_reports_and_tells(self, seeds, capsys):
        run = seeds / "narrow-0"
        assert main(["report", str(run)]) == 0
        output = capsys.readouterr().out
        assert '"blue right"' in output
        assert "Training classes end with a joint accuracy" in output
        page = (run / "report.html").read_text()
        assert "overprompting-hue" in page
        assert main(["info", str(run)]) == 0
        output = capsys.readouterr().out
        assert "finished" in output
        assert "naive, overprompting-hue" in output

    def test_serve_answers_everything_that_its_page_asks(self, recorded):
        opened = listen("127.0.0.1", 0, "")
        running = server(Library([recorded]), opened, "")
        thread = threading.Thread(target=running.run, kwargs={"sockets": [opened]}, daemon=True)
        thread.start()
        base = f"http://127.0.0.1:{opened.getsockname()[1]}"

        def asked(path: str) -> bytes:
            with urllib.request.urlopen(base + path, timeout=60) as answer:
                return answer.read()

        try:
            assert b"<html" in asked("/")
            (shown,) = json.loads(asked("/api/index"))["runs"]
            token = shown["token"]
            for path in ("trajectories", "findings"):
                assert b"11" in asked(f"/api/{path}?runs={token}")
            assert json.loads(asked(f"/api/turns?runs={token}"))["problems"] == []
            assert LOUDER.name in json.loads(asked(f"/api/settings/{token}"))["protocols"]
            assert json.loads(asked(f"/api/details/{token}"))["training"]["step"] == [2, 4, 6, 8]
            for protocol in ("naive", LOUDER.name):
                assert asked(f"/api/images/{token}/{protocol}/4").startswith(b"\x89PNG")
            assert asked(f"/api/table.parquet?runs={token}").startswith(b"PAR1")
        finally:
            running.should_exit = True
            thread.join()
            opened.close()

    def test_seeds_stand_together_and_settings_apart(self, seeds, tmp_path, capsys):
        assert main(["report", str(seeds), "-o", str(tmp_path / "p.html")]) == 0
        assert "means of 2 seeds" in capsys.readouterr().out
        record(seeds / "wide-0", 8, seed=0, settings={"width": 32})
        assert main(["report", str(seeds), "-o", str(tmp_path / "q.html")]) == 0
        output = capsys.readouterr().out
        assert "Width 8:" in output
        assert "Width 32:" in output

    def test_without_pictures_and_loss_there_is_a_page_all_the_same(self, tmp_path, capsys):
        with recorder(tmp_path / "run", pictures=None) as opened:
            for step, model, _ in training(4):
                opened.checkpoint(step, model)
        assert main(["report", str(tmp_path / "run")]) == 0
        assert not (tmp_path / "run" / "classes").exists()

    def test_one_concept_has_a_page_without_what_needs_two(self, tmp_path, capsys):
        space = named_space({"hue": ("red", "green", "blue")}, [("blue",)])

        def colors(images):
            light = images.mean((2, 3))
            return {"hue": light / light.sum(1, keepdim=True)}

        def model(step):  # what is held out is red at first
            shown = torch.eye(3)
            shown[2] = torch.tensor([1.0, 0, 0]) if step < 5 else torch.tensor([0, 0, 1.0])
            return lambda prompts, noise: (
                (prompts @ shown)[..., None, None].expand(-1, -1, 4, 4)
                * (1 - 0.1 * noise(1).sigmoid()[:, :, None, None])
            )

        for seed in (0, 1):
            arguments = {"world": space, "judge": colors, "protocols": [], "pictures": None}
            with recorder(tmp_path / f"run-{seed}", seed=seed, **arguments) as opened:
                for step in range(1, 12):
                    opened.checkpoint(step, model(step), loss=1 / step)
        assert main(["report", str(tmp_path), "-o", str(tmp_path / "page.html")]) == 0
        said = capsys.readouterr().out
        assert "2 (blue) is taken for 0 (red) in 2 of 2 seeds" in said
        assert "joint accuracy on 2 reaches 0.8 at step 5" in said
        assert "leans" not in said
        assert main(["report", str(tmp_path / "run-0")]) == 0

    def test_a_lost_space_is_reported(self, tmp_path, capsys):
        record(tmp_path / "run", 2)
        (tmp_path / "run" / "space.json").unlink()
        assert main(["report", str(tmp_path / "run")]) != 0
        assert "its space.json is missing" in capsys.readouterr().err
        record(tmp_path / "run", 2)
        assert main(["report", str(tmp_path / "run")]) == 0

    def test_a_changed_space_is_reported(self, tmp_path, capsys):
        record(tmp_path / "run", 2)
        path = tmp_path / "run" / "space.json"
        path.write_text(path.read_text().replace("red", "rot"))
        assert main(["report", str(tmp_path / "run")]) != 0
        assert "space.json is damaged" in capsys.readouterr().err
