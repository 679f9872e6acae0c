"""A bucket of a real server that speaks S3, on this machine."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest

ACCESS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def serving() -> Iterator[str]:
    """The address of an empty bucket; the environment leads there."""
    server = pytest.importorskip("moto.server", reason="moto, a server that speaks S3, is missing")
    s3fs = pytest.importorskip("s3fs", reason="the extra conceptspace[s3] is missing")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    opened = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    opened.start()
    host, port = opened.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ACCESS, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        name = f"bucket-{uuid4().hex[:8]}"
        s3fs.S3FileSystem().mkdir(name)
        yield f"s3://{name}"
        s3fs.S3FileSystem.clear_instance_cache()
    opened.stop()
