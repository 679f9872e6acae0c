"""A kept checkpoint makes images of a point in concept space: little work, nothing written."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import torch
from test_server import ask, served

from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.presentation.explorer import ask as module
from conceptspace.presentation.explorer.ask import AskerBusy, PointAsker, steps_of
from conceptspace.presentation.explorer.library import Library
from conceptspace.store import open_or_create
from conceptspace.training import checkpoint
from tiny import tiny_config

HEADER = {"Conceptspace_Ask": "1"}


def kept(folder):
    """A run whose only checkpoint is a model of random weights, none of which is 0."""
    config = tiny_config(evaluate__sampling_steps=3)
    run, _ = open_or_create(folder, config)
    source, weights = torch.Generator().manual_seed(0), parts.model(config).state_dict()
    moved = {k: w + 0.3 * torch.randn(w.shape, generator=source) for k, w in weights.items()}
    checkpoint.save(run.checkpoints, 7, moved)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return kept(tmp_path_factory.mktemp("asked") / "runs" / "a")


@pytest.fixture(scope="module")
def port(run):
    with served(run.path.parent, asker=PointAsker()) as port:
        yield port


@pytest.fixture(scope="module")
def token(port):
    return json.loads(ask(port, "/api/index")[2])["runs"][0]["token"]


def content(folder):
    return {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*")}


def test_images_of_a_point_inside_and_outside_the_classes(run):
    before = content(run.path)
    asker = PointAsker()
    inside, again = (asker(run, "v", 7, [0.5, 1.0]) for _ in range(2))
    assert inside["asked"] == [0.5, 1.0]
    assert inside["src"] == again["src"]
    assert inside["src"].startswith("data:image/png;base64,")
    assert (inside["tile"], inside["columns"]) == (8, module.IMAGES)
    assert np.shape(inside["landed"]) == (module.IMAGES, 2)
    assert len(inside["valid"]) == module.IMAGES
    outside = asker(run, "v", 7, [-1.5, 4.0])
    assert outside["src"] != inside["src"]
    assert outside["asked"][1] < 4  # cut at the limits of the concept
    assert content(run.path) == before


def test_what_cannot_be_asked_says_why(run, tmp_path, monkeypatch):
    asker = PointAsker()
    with pytest.raises(UserError, match="keeps no checkpoint of step 8"):
        asker(run, "v", 8, [0.0, 0.0])
    with pytest.raises(UserError, match="a point has 2 numbers here, not 1"):
        asker(run, "v", 7, [0.0])
    for far in (9.0, float("nan")):
        with pytest.raises(UserError, match="lie between -4 and 4"):
            asker(run, "v", 7, [0.0, far])
    with pytest.raises(UserError, match="takes too long"):
        PointAsker(patience=-1.0)(run, "v", 7, [0.0, 0.0])
    monkeypatch.setattr(module, "MOST_WEIGHTS", 10)
    assert steps_of(run) == []
    with pytest.raises(UserError, match="too large to be asked"):
        PointAsker()(run, "v", 7, [0.0, 0.0])


def test_one_is_answered_one_waits_others_are_sent_away(run, monkeypatch):
    begun, go = threading.Event(), threading.Event()

    def slow(*_):
        begun.set()
        go.wait(10)
        return {}

    asker = PointAsker()
    monkeypatch.setattr(asker, "_answer", slow)
    threads = [threading.Thread(target=asker, args=(run, "v", 7, [0.0, 0.0])) for _ in range(2)]
    threads[0].start()
    assert begun.wait(10)
    threads[1].start()
    while asker._places._value:
        threads[1].join(0.01)
    with pytest.raises(AskerBusy):
        asker(run, "v", 7, [0.0, 0.0])
    go.set()
    for thread in threads:
        thread.join()
    assert asker(run, "v", 7, [0.0, 0.0]) == {}


def test_over_http_with_its_header_alone(port, token):
    status, headers, body = ask(port, f"/api/ask/{token}/7?at=0.5,0.5", **HEADER)
    assert status == 200, body
    assert headers["cache-control"] == "no-cache"
    assert json.loads(body)["asked"] == [0.5, 0.5]
    assert ask(port, f"/api/ask/{token}/7?at=0.5,0.5")[0] == 403
    assert ask(port, f"/api/ask/{token}/7?at=0.5,0.5", "POST", **HEADER)[0] == 405
    assert ask(port, f"/api/ask/{token}/7?at=0.5,x", **HEADER)[0] == 422
    assert ask(port, f"/api/ask/{token}/7?at=1e400,0", **HEADER)[0] == 422
    assert ask(port, f"/api/ask/{token}/9?at=0,0", **HEADER)[0] == 422
    assert ask(port, "/api/ask/..%2f..%2fetc/7?at=0,0", **HEADER)[0] == 404
    assert b'{"ask":true}' in ask(port, "/")[2]
    assert json.loads(ask(port, "/api/index")[2])["runs"][0]["checkpoints"] == [7]


def test_it_is_off_unless_said(run):
    with served(run.path.parent) as port:
        (listed,) = json.loads(ask(port, "/api/index")[2])["runs"]
        assert "checkpoints" not in listed
        status, _, body = ask(port, f"/api/ask/{listed['token']}/7?at=0,0", **HEADER)
        assert status == 404
        assert b"start the server with --ask" in body


def test_a_checkpoint_behind_a_link_out_of_the_folder_is_not_read(run, tmp_path):
    other = kept(tmp_path / "shown" / "b")
    (tmp_path / "outside").mkdir()
    path = other.checkpoints / "step-00000007.safetensors"
    path.rename(tmp_path / "outside" / path.name)
    path.symlink_to(tmp_path / "outside" / path.name)
    library = Library([tmp_path / "shown"], PointAsker())
    token = library.index()["runs"][0]["token"]
    with pytest.raises(UserError, match="leads out of the folder shown"):
        library.ask(token, 7, [0.0, 0.0])
