"""The server reads only, answers to this machine alone, and hands out nothing else."""

from __future__ import annotations

import http.client
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pandas as pd
import pytest
from fabricated import make_space, write_run

from conceptspace.errors import UserError
from conceptspace.presentation.explorer.library import Library
from conceptspace.presentation.explorer.offline import payload
from conceptspace.presentation.explorer.server import address, listen, server

TOKEN = "sixteen-letters-or-more"


@contextmanager
def served(folder, token="", asker=None) -> Iterator[int]:
    """The port of a running server."""
    opened = listen("127.0.0.1", 0, token)
    running = server(Library([folder], asker), opened, token)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [opened]}, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    try:
        yield opened.getsockname()[1]
    finally:
        running.should_exit = True
        thread.join()
        opened.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("served")
    run = write_run(root / "runs" / "a", make_space(2), protocols={"naive": {"": 900.0}})
    (run.path / "figures").mkdir()
    (run.path / "figures" / "curves.png").write_bytes(b"\x89PNG figure")
    (root / "secret.txt").write_text("secret")
    return root / "runs"


@pytest.fixture(scope="module")
def port(folder):
    with served(folder) as port:
        yield port


def ask(port, path, method="GET", **headers):
    """Status, headers and content of an answer; the path is sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers={"Host": f"127.0.0.1:{port}", **named})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


def token_of(port):
    return json.loads(ask(port, "/api/index")[2])["runs"][0]["token"]


def test_the_page_and_its_policy(port):
    status, headers, content = ask(port, "/")
    assert status == 200
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "unsafe-eval" not in policy
    assert b"<script src" not in content
    assert b"https://" not in content.split(b"<script")[0]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in headers


def test_everything_that_the_page_asks_for(port, folder):
    token = token_of(port)
    answer = json.loads(ask(port, f"/api/trajectories?runs={token}")[2])
    assert answer["runs"][token]["protocols"][0]["name"] == "naive"
    details = json.loads(ask(port, f"/api/details/{token}")[2])
    assert details["figures"] == [{"name": "curves", "src": f"api/figures/{token}/curves.png"}]
    sheet = details["sheets"]["naive"]["4400"]
    status, headers, content = ask(port, "/" + sheet["src"])
    assert (status, headers["content-type"]) == (200, "image/png")
    assert content == (folder / "a" / "samples" / "naive" / "step-00004400.png").read_bytes()
    assert ask(port, "/" + details["figures"][0]["src"])[2] == b"\x89PNG figure"
    assert "naive" in json.loads(ask(port, f"/api/settings/{token}")[2])["protocols"]
    assert "11" in json.loads(ask(port, f"/api/turns?runs={token}")[2])
    assert "problems" in json.loads(ask(port, f"/api/findings?runs={token}")[2])


def test_half_an_image_is_refused(tmp_path):
    run = write_run(tmp_path / "a", make_space(2), protocols={"naive": {"": 900.0}})
    path = run.path / "samples" / "naive" / "step-00000100.png"
    path.write_bytes(path.read_bytes()[:900])
    with served(tmp_path) as port:
        status, _, content = ask(port, f"/api/images/{token_of(port)}/naive/100")
    assert status == 422
    assert b"is damaged" in content
    data = payload([run], "t")
    (details,) = data["details"].values()
    assert "step-00000100.png is damaged" in details["notes"][0]
    assert "100" not in details["sheets"]["naive"]
    assert "4400" in details["sheets"]["naive"]


def test_parquet_is_the_trajectory(port, folder, tmp_path):
    status, _, content = ask(port, f"/api/table.parquet?runs={token_of(port)}")
    assert status == 200
    (tmp_path / "t.parquet").write_bytes(content)
    expected = pd.read_parquet(folder / "a" / "trajectory.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), expected)


def test_an_unchanged_answer_is_empty(port):
    _, headers, _ = ask(port, "/api/index")
    status, again, content = ask(port, "/api/index", If_None_Match=headers["etag"])
    assert (status, content, again["etag"]) == (304, b"", headers["etag"])
    assert ask(port, "/api/index", If_None_Match='"other"')[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_only_reads(port, method):
    assert ask(port, "/api/index", method)[0] == 405
    assert ask(port, "/api/index", "HEAD")[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "evil.example:{port}", "0.0.0.0:1"])
def test_other_hosts_are_refused(port, host):
    status, _, content = ask(port, "/api/index", Host=host.format(port=port))
    assert status == 400
    assert b"token" not in content


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_names_of_this_machine_are_taken(port, host):
    assert ask(port, "/api/index", Host=f"{host}:{port}")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/api/images/{token}/../../secret.txt",
        "/api/images/{token}/..%2f..%2f/4400",
        "/api/images/{token}/naive/4400%2f..%2f..",
        "/api/figures/{token}/..%2f..%2fsecret.txt",
        "/api/figures/{token}/%2e%2e",
        "/api/details/..%2f..%2fsecret.txt",
        "/api/details/" + quote("<img src=x>"),
        "/static/../../secret.txt",
        "/a/config.toml",
    ],
)
def test_nothing_else_is_handed_out(port, path):
    status, headers, content = ask(port, path.format(token=token_of(port)))
    assert status == 404
    assert b"secret" not in content.replace(b"secret.txt", b"")
    assert headers["content-type"].startswith("text/plain")


def test_odd_questions_are_answered_in_a_sentence(port):
    status, _, content = ask(port, "/api/findings?runs=")
    assert (status, content[:13]) == (422, b"name the runs")
    assert ask(port, "/api/trajectories?runs=" + ",".join("0" * 1001))[0] == 422
    assert ask(port, "/api/turns?runs=none")[0] == 404


def test_a_run_that_was_deleted_is_not_there(tmp_path):
    write_run(tmp_path / "a", make_space(2), protocols={"naive": {"": 900.0}})
    with served(tmp_path) as port:
        token = token_of(port)
        assert ask(port, f"/api/details/{token}")[0] == 200
        shutil.rmtree(tmp_path / "a")
        for path in (
            *(f"/api/{kind}/{token}" for kind in ("details", "settings")),
            *(f"/api/{kind}?runs={token}" for kind in ("trajectories", "turns", "findings")),
            f"/api/table.parquet?runs={token}",
            f"/api/images/{token}/naive/100",
            f"/api/figures/{token}/curves.png",
        ):
            assert ask(port, path)[0] == 404, path
        assert ask(port, "/api/index")[0] == 200


def test_a_token_is_asked_of_everyone(folder):
    with served(folder, TOKEN) as port:
        assert ask(port, "/api/index")[0] == 403
        assert ask(port, "/api/index?token=wrong")[0] == 403
        assert ask(port, "/api/index", Authorization=f"Bearer {TOKEN}")[0] == 200
        status, headers, _ = ask(port, f"/?token={TOKEN}", Host="elsewhere:80")
        assert status == 200
        cookie = headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert ask(port, "/api/index", Cookie=cookie.split(";")[0])[0] == 200
        assert "set-cookie" not in ask(port, "/?token=wrong")[1]


def test_other_addresses_need_a_token(folder):
    for bind in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(UserError, match="would show the runs to other machines"):
            listen(bind, 0, "")
    with pytest.raises(UserError, match="16 or more"):
        listen("0.0.0.0", 0, "short")
    opened = listen("0.0.0.0", 0, TOKEN)
    assert address(opened, "0.0.0.0", TOKEN).endswith(f"/?token={TOKEN}")
    opened.close()


def test_a_port_that_is_taken_is_reported(port):
    with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1, port {port}"):
        listen("127.0.0.1", port, "")
    with pytest.raises(UserError, match="choose another --port"):
        listen("127.0.0.1", 70000, "")
