"""HAProxy stands before Headgate and speaks TLS and the PROXY protocol to it, or stands behind it and reads its
headers."""

import socket

from harness.backends import http_ok
from harness.config import proxy
from harness.servers import haproxy
from harness.tools import run, tool
from harness.waiting import wait_until


def test_haproxy_in_front_reaches_the_backend_and_names_the_client(start, backend, certificate, authority):
    listener = {"proxy_protocol": {"from": ["127.0.0.0/8"]}}
    headgate = start(proxy(backend().address, certificate, listener=listener))
    server = f"server s {headgate.address()} ssl verify required ca-file {authority.file} sni str(app.test)"
    with haproxy("mode tcp\n  BIND", f"mode tcp\n  {server} send-proxy-v2") as front:
        host, port = front.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), 30) as client:
            source = "127.0.0.1:%d" % client.getsockname()[1]
            client.sendall(b"through two")
            assert client.recv(100) == b"through two"
        assert headgate.wait_log(message="connection ended")[0]["source"] == source
    headgate.wait_metric("headgate_handshakes_total", result="ok")


def test_haproxys_health_check_is_no_failure(start, backend, certificate, authority):
    """Its TCP check connects and leaves; its TLS check shakes hands and leaves."""
    headgate = start(proxy(backend(http_ok).address, certificate))
    server = f"server s {headgate.address()} ssl verify required ca-file {authority.file} sni str(app.test)"
    checks = f"mode tcp\n  {server} check check-sni app.test inter 100ms"
    with haproxy("mode tcp\n  BIND", checks):
        wait_until(lambda: headgate.metric("headgate_handshakes_total", result="ok") >= 3, "three checks were answered")
    assert headgate.metric("headgate_handshakes_total", result="failed") == 0


def test_haproxy_behind_reads_the_source_and_the_name_from_version_2(start, certificate, authority):
    answer = 'http-request return status 200 content-type text/plain lf-string "%[src] %[fc_pp_authority]"'
    with haproxy(f"mode http\n  BIND accept-proxy\n  {answer}", "mode http") as behind:
        headgate = start(proxy(behind.address, certificate, app={"send_proxy": "v2"}))
        port = headgate.port()
        told = run(
            tool("curl"), "--silent", "--show-error", "--http1.1", "--cacert", authority.file,
            "--resolve", f"app.test:{port}:127.0.0.1", f"https://app.test:{port}/",
        )  # fmt: skip
    assert told.stdout == "127.0.0.1 app.test", told
