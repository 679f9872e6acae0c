"""Slow, odd and many clients: the server goes on answering the others."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fabricated import make_space, write_run
from test_server import ask, served

from conceptspace.presentation.explorer import connections
from conceptspace.presentation.explorer.library import Library


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("slow")
    write_run(root / "a", make_space(2), protocols={"naive": {"": 900.0}})
    return root


def slow(port, sent=b"GET / HTTP/1.1\r\nHost: x"):
    """A client that has not finished its request."""
    opened = socket.create_connection(("127.0.0.1", port), timeout=10)
    opened.sendall(sent)
    return opened


def closed(opened, within):
    """Whether the server closes the connection in so many seconds, whatever it sends before."""
    opened.settimeout(within)
    try:
        while opened.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


@pytest.mark.slow
def test_eighty_slow_clients_do_not_silence_it_with_64_file_handles(folder):
    program = Path(sys.executable).with_name("conceptspace")
    serving = subprocess.Popen(
        ["sh", "-c", 'ulimit -n 64; exec "$0" serve "$1" --port 0', program, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    clients = []
    try:
        assert serving.stdout is not None
        found = re.search(r":(\d+)/", serving.stdout.readline())
        assert found is not None
        port = int(found[1])
        assert ask(port, "/api/index")[0] == 200
        for _ in range(80):
            clients.append(slow(port))
        for _ in range(5):
            started = time.monotonic()
            assert ask(port, "/api/index")[0] == 200
            assert time.monotonic() - started < 5
            for client in clients[::7]:
                try:
                    client.send(b"y")
                except ConnectionError:
                    continue
        assert len(os.listdir(f"/proc/{serving.pid}/fd")) < 50
    finally:
        for client in clients:
            client.close()
        serving.kill()
        _, errors = serving.communicate(timeout=60)
    assert "Traceback" not in errors
    assert "out of system resource" not in errors


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x",
        b"GET /api/index HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\nGET /",
        b"GET /api/index HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 9\r\n\r\nx",
    ],
    ids=["nothing", "half a header", "half a second header", "half a body"],
)
def test_who_does_not_finish_is_not_waited_for(folder, monkeypatch, sent):
    monkeypatch.setattr(connections, "PATIENCE", 0.7)
    with served(folder) as port:
        client = slow(port, sent.replace(b"{port}", str(port).encode()))
        for _ in range(10):  # bytes that drip in do not help
            time.sleep(0.1)
            try:
                client.send(b"x")
            except ConnectionError:
                break
        assert closed(client, 3)
        client.close()
        assert ask(port, "/api/index")[0] == 200


def test_who_takes_nothing_of_an_answer_is_not_waited_for(folder, monkeypatch):
    monkeypatch.setattr(connections, "PATIENCE", 0.7)
    many = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"
    with served(folder) as port:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(many % port * 60)
        deadline = time.monotonic() + 15
        alive = True
        while alive and time.monotonic() < deadline:
            time.sleep(0.5)
            try:
                client.send(b"G")
            except ConnectionError:
                alive = False
        client.close()
        assert not alive


def test_who_is_answered_may_take_longer_than_the_patience(folder, monkeypatch):
    monkeypatch.setattr(connections, "PATIENCE", 0.3)
    monkeypatch.setattr(Library, "index", lambda self: time.sleep(1) or {"runs": []})
    with served(folder) as port:
        assert ask(port, "/api/index")[0] == 200


def test_where_all_are_being_answered_a_new_one_is_refused(folder, monkeypatch):
    monkeypatch.setattr(connections, "most_connections", lambda: 4)
    monkeypatch.setattr(Library, "index", lambda self: time.sleep(2) or {"runs": []})
    request = b"GET /api/index HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n"
    with served(folder) as port:
        busy = [slow(port, request % port) for _ in range(4)]
        time.sleep(0.5)
        status, headers, content = ask(port, "/api/index")
        assert (status, headers["Retry-After"]) == (503, "1")
        assert b"too many connections" in content
        for client in busy:
            client.settimeout(10)
            assert client.recv(12) == b"HTTP/1.1 200"
            client.close()
        assert ask(port, "/api/index")[0] == 200


def test_huge_headers_are_refused(folder):
    with served(folder) as port:
        for name, value in (("X-Long", "x" * 1_000_000), ("Cookie", "a=b;" * 50_000)):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request("GET", "/api/index", headers={name: value})
                assert connection.getresponse().status in (400, 431)
            except ConnectionError:
                pass  # closed while the header was still being sent
            connection.close()
        assert ask(port, "/api/index")[0] == 200


def test_head_is_get_without_the_content(folder):
    with served(folder) as port:
        for path in ("/", "/api/index"):
            _, whole, content = ask(port, path)
            status, headers, nothing = ask(port, path, "HEAD")
            assert (status, nothing) == (200, b"")
            assert headers["content-length"] == whole["content-length"] == str(len(content))


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "GET" * 300, "get"])
def test_odd_methods_are_refused(folder, method):
    with served(folder) as port:
        assert ask(port, "/api/index", method)[0] == 405


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"Host: evil.example\r\n",
        b"Host: 127.0.0.1\r\nHost: evil.example\r\n",
        b"Host: \xff\r\n",
    ],
    ids=["none", "another", "two", "no text"],
)
def test_the_host_must_be_this_one_and_only(folder, lines):
    with served(folder) as port:
        client = slow(port, b"GET /api/index HTTP/1.1\r\n" + lines + b"\r\n")
        assert client.recv(12) == b"HTTP/1.1 400"
        client.close()
