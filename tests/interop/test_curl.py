"""curl as the client, with either version of TLS, through a real nginx."""

import hashlib

import pytest

from harness.backends import http_ok
from harness.config import proxy
from harness.servers import nginx
from harness.tools import run, tool

VERSIONS = pytest.mark.parametrize("version", ["1.2", "1.3"])


def curl(headgate, authority, *options, path="/", seconds=60):
    port = headgate.port()
    return run(
        tool("curl"), "--silent", "--show-error", "--cacert", authority.file, "--resolve", f"app.test:{port}:127.0.0.1",
        *options, f"https://app.test:{port}{path}", seconds=seconds,
    )  # fmt: skip


def of_version(version):
    return [f"--tlsv{version}", "--tls-max", version]


@VERSIONS
def test_curl_gets_a_page(start, backend, certificate, authority, record_layer, version):
    headgate = start(proxy(backend(http_ok).address, certificate, tls={"record_layer": record_layer}))
    told = curl(headgate, authority, *of_version(version), path="/over-tls")
    assert told.stdout == "GET /over-tls HTTP/1.1\n", told


@VERSIONS
def test_curl_reuses_its_connection_for_many_requests(start, backend, certificate, authority, version):
    one = backend(http_ok)
    headgate = start(proxy(one.address, certificate))
    url = f"https://app.test:{headgate.port()}/"
    told = curl(headgate, authority, *of_version(version), *[url] * 20)
    assert told.returncode == 0 and told.stdout.count("GET / HTTP/1.1") == 21
    assert one.accepted == 1


@VERSIONS
def test_curl_uploads_and_downloads_a_file_through_nginx(start, certificate, authority, tmp_path, version):
    content = hashlib.shake_256(b"file").digest(10_000_000)
    (tmp_path / "up.bin").write_bytes(content)
    with nginx(server="dav_methods PUT;") as server:
        headgate = start(proxy(server.address, certificate))
        up = curl(headgate, authority, *of_version(version), "--fail", "-T", tmp_path / "up.bin", path="/file.bin")
        assert up.returncode == 0, up
        down = curl(headgate, authority, *of_version(version), "--fail", "-o", tmp_path / "down.bin", path="/file.bin")
        assert down.returncode == 0, down
        assert (server.directory / "file.bin").read_bytes() == content
    assert (tmp_path / "down.bin").read_bytes() == content


def test_curl_refuses_a_name_that_the_certificate_does_not_cover(start, backend, authority):
    headgate = start(proxy(backend(http_ok).address, authority.issue("other.test")))
    told = curl(headgate, authority)
    assert told.returncode == 60, told


def test_curl_shows_a_client_certificate(start, backend, certificate, authority):
    tls = {"client_auth": {"mode": "required", "ca": str(authority.file)}}
    headgate = start(proxy(backend(http_ok).address, certificate, tls=tls))
    ours = authority.issue(client=True)
    told = curl(headgate, authority, "--cert", ours.certificate, "--key", ours.key)
    assert told.stdout == "GET / HTTP/1.1\n", told
    assert curl(headgate, authority).returncode != 0


def test_nginx_reads_the_proxy_header_that_headgate_sends(start, certificate, authority):
    location = "location / { return 200 $proxy_protocol_addr; } "
    with nginx(listen_options="proxy_protocol", server=location) as server:
        for version in ("v1", "v2"):
            headgate = start(proxy(server.address, certificate, app={"send_proxy": version}))
            assert curl(headgate, authority).stdout == "127.0.0.1"
