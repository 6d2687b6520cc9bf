"""HTTP/2 chosen by ALPN, with a real HTTP/2 server behind."""

import hashlib
import json
import subprocess

import pytest

from harness.config import proxy
from harness.servers import nghttpd
from harness.tools import run, tool


@pytest.fixture
def h2_proxy(start, certificate, tmp_path, record_layer):
    """Headgate before nghttpd, which serves one file."""
    (tmp_path / "file.bin").write_bytes(hashlib.shake_256(b"h2").digest(3_000_000))
    with nghttpd(tmp_path) as server:
        tls = {"alpn": ["h2", "http/1.1"], "record_layer": record_layer}
        yield start(proxy(server.address, certificate, tls=tls))


def test_nghttp_gets_a_file_over_h2(h2_proxy, tmp_path):
    url = f"https://127.0.0.1:{h2_proxy.port()}/file.bin"
    told = subprocess.run([tool("nghttp"), "--no-verify-peer", url], capture_output=True, timeout=60)
    assert told.stdout == (tmp_path / "file.bin").read_bytes()


def test_many_streams_share_a_connection(h2_proxy):
    told = run(tool("h2load"), "-n", "200", "-c", "4", "-m", "10", f"https://127.0.0.1:{h2_proxy.port()}/file.bin")
    assert "200 succeeded, 0 failed" in told.stdout, told.stdout
    assert "h2" in told.stdout


def test_curl_speaks_h2(h2_proxy, authority):
    told = run(
        tool("curl"), "--silent", "--http2", "--cacert", authority.file, "-o", "/dev/null", "-w", "%{json}",
        f"https://localhost:{h2_proxy.port()}/file.bin",
    )  # fmt: skip
    answer = json.loads(told.stdout)
    assert (answer["http_version"], answer["http_code"], answer["size_download"]) == ("2", 200, 3_000_000)
