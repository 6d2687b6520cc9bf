"""Health probes by other systems are counted separately and never logged as failures."""

import json
import socket

import pytest

from harness.config import proxy
from harness.servers import short_directory
from harness.tls_client import TlsClient, connect, handshake_alert, raw_socket, read_to_end

PROBING = "127.0.0.2"


def from_address(port, address):
    return socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(address, 0))


def garbage(port, address):
    with from_address(port, address) as client:
        client.sendall(b"\xff" * 100)
        read_to_end(client)


def half_a_handshake(port, address):
    with TlsClient(port, connected=from_address(port, address)) as client:
        client.socket.sendall(client.client_hello())
        client.receive()


def no_shared_cipher(port, address):
    handshake_alert(port, ciphers="AES128-SHA", version=0x303, connected=from_address(port, address))


def failure_lines(headgate):
    return headgate.complaints() + [line for line in headgate.log if line.get("failure")]


def failed_handshakes(headgate):
    return json.loads(headgate.get("/handshakes.json")[1])["failed"]


def test_connect_and_close_is_a_probe_and_nothing_is_said(start, backend, certificate):
    """The clients come over a unix socket, where no TCP_DEFER_ACCEPT keeps them in the kernel."""
    path = short_directory() / "web.sock"
    log = {"level": "info", "format": "json", "access": "failures"}
    headgate = start(proxy(backend().address, certificate, listener={"bind": f"unix:{path}"}, log=log))
    for _ in range(5):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    headgate.wait_metric("headgate_handshakes_total", 5, result="probe")
    headgate.wait_metric("headgate_connections_closed_total", 5, reason="probe")
    metrics = headgate.metrics()
    assert metrics.value("headgate_handshakes_total", result="failed") == 0
    assert metrics.value("headgate_handshake_failures_total") == 0
    assert not headgate.log_with(message="connection ended") and not failure_lines(headgate)
    assert failed_handshakes(headgate) == []


@pytest.mark.parametrize("probe", [garbage, half_a_handshake, no_shared_cipher])
def test_whatever_a_listed_source_does_is_a_probe_and_no_failure(start, backend, certificate, probe):
    log = {"level": "info", "format": "json", "access": "failures"}
    headgate = start(proxy(backend().address, certificate, listener={"probes": [PROBING + "/32"]}, log=log))
    for _ in range(3):
        probe(headgate.port(), PROBING)
    headgate.wait_metric("headgate_handshakes_total", 3, result="probe")
    headgate.wait_metric("headgate_connections_active", 0)
    metrics = headgate.metrics()
    assert metrics.value("headgate_handshakes_total", result="failed") == 0
    assert metrics.value("headgate_handshake_failures_total") == 0
    assert not failure_lines(headgate)
    assert failed_handshakes(headgate) == []

    probe(headgate.port(), "127.0.0.1")  # the same from another source is a failure and is logged
    headgate.wait_metric("headgate_handshakes_total", 1, result="failed")
    (line,) = headgate.wait_log(message="connection ended")
    assert line["source"].startswith("127.0.0.1:")
    assert len(failed_handshakes(headgate)) == 1


def test_a_listed_source_is_served_all_the_same(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, listener={"probes": ["127.0.0.0/8"]}))
    with connect(headgate.port()) as client:
        client.exchange(b"a health check that wants an answer")
    with raw_socket(headgate.port()) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"400" in read_to_end(client)
