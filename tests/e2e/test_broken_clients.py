"""Clients that are broken, hostile or slow: each connection ends with its own reason, and other clients notice nothing."""

import contextlib
import os
import socket
import time

import pytest
from OpenSSL import SSL

from harness.backends import endless_source
from harness.config import proxy
from harness.kernel import unread_bytes
from harness.tls_client import (
    RECORD_HEADER_BYTES,
    TLS12,
    TLS13,
    TlsClient,
    alerts_in,
    between_bytes,
    connect,
    handshake_alert,
    hello_in_two_parts,
    in_records_of,
    into_records,
    raw_socket,
    read_to_end,
)
from harness.waiting import wait_until

MIB = 1 << 20
UNEXPECTED_MESSAGE = 10

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])


@pytest.fixture
def impatient(start, backend, certificate):
    """Headgate before an echo that gives a handshake one second."""
    return start(proxy(backend().address, certificate, listener={"timeouts": {"handshake": "1s"}}))


@VERSIONS
@pytest.mark.parametrize("cut", [between_bytes, into_records])
def test_a_client_hello_split_at_every_byte_is_understood(start, backend, certificate, version, cut):
    patience = {"timeouts": {"handshake": "2m"}, "limits": {"hello_bytes_per_second": 0}}
    headgate = start(proxy(backend().address, certificate, listener=patience))
    hello_in_two_parts(headgate.port(), cut, version=version)


@VERSIONS
@pytest.mark.parametrize("segment", [1, 6, 1 << 20], ids=["drip", "record", "at_once"])
def test_a_client_hello_in_records_of_one_byte_is_understood(echo_proxy, version, segment):
    """Some clients cut their ClientHello in this way to get past a filter that looks for the name in one record."""
    with TlsClient(echo_proxy.port(), version=version) as client:
        wire = in_records_of(client.client_hello()[RECORD_HEADER_BYTES:], 1)
        for place in range(0, len(wire), segment):
            client.socket.sendall(wire[place : place + segment])
        client.handshake()
        client.exchange(b"whole")


def test_a_client_hello_in_ten_thousand_records_is_refused(echo_proxy):
    """Each record costs its sender six bytes, and costs its reader work."""
    message = b"\x01" + (10_000).to_bytes(3, "big") + bytes(10_000)
    with raw_socket(echo_proxy.port()) as client:
        client.sendall(in_records_of(message, 1))
        assert alerts_in(read_to_end(client)) == [(2, UNEXPECTED_MESSAGE)]
    echo_proxy.wait_metric("headgate_handshake_failures_total", reason="protocol_error", alert="unexpected_message")
    echo_proxy.wait_metric("headgate_connections_closed_total", reason="handshake_failed", side="client")
    echo_proxy.wait_log(reason="handshake_failed", detail="a ClientHello in more than 4096 records")


@pytest.mark.memory
def test_unfinished_client_hellos_are_bounded_together_and_the_oldest_are_shed(start, backend, certificate):
    """600 clients bring 36 MB that never become ClientHellos. The worker keeps 8 MiB of these and serves other
    clients."""
    log = {"level": "info", "format": "json", "access": "failures"}
    headgate = start(
        proxy(backend().address, certificate, workers=1, log=log, listener={"timeouts": {"handshake": "2m"}})
    )
    port = headgate.port()
    beginning = in_records_of(b"\x01\x00\xff\x00" + bytes(60_000), 16_000)
    with connect(port) as established, contextlib.ExitStack() as held:
        established.exchange(b"before")
        before = headgate.rss_bytes()
        clients = [held.enter_context(raw_socket(port)) for _ in range(600)]
        for client in clients:
            client.sendall(beginning)
        wait_until(lambda: unread_bytes(port) == 0, "all that was sent has been read")
        kept = headgate.metric("headgate_connections_active") - 1
        shed = headgate.metric("headgate_handshakes_total", result="shed")
        assert kept + shed == len(clients)
        assert 0 < kept * len(beginning) <= 8 * MIB
        assert headgate.rss_bytes() - before < 20 * MIB
        assert read_to_end(clients[0]) == b""
        clients[-1].setblocking(False)
        with pytest.raises(BlockingIOError):
            clients[-1].recv(1)
        with connect(port) as honest:
            honest.exchange(b"served")
        established.exchange(b"after")
        headgate.wait_log(reason="handshake_shed", phase="hello")
        assert "unfinished ClientHellos" in headgate.log_with(reason="handshake_shed")[0]["detail"]


@VERSIONS
def test_a_handshake_sent_byte_by_byte_succeeds(echo_proxy, version):
    with TlsClient(echo_proxy.port(), version=version) as client:
        done = False
        while not done:
            try:
                client.tls.do_handshake()
                done = True
            except SSL.WantReadError:
                pass
            for value in client.produced():
                client.socket.sendall(bytes([value]))
            if not done:
                client.receive()
        client.exchange(b"patience")


def test_plain_http_gets_a_400_that_says_so(echo_proxy):
    with raw_socket(echo_proxy.port()) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
        answer = read_to_end(client)
    assert answer.startswith(b"HTTP/1.1 400 ") or answer.startswith(b"HTTP/1.0 400 ")
    assert b"TLS" in answer or b"HTTPS" in answer
    echo_proxy.wait_metric("headgate_handshake_failures_total", reason="plaintext_http")
    echo_proxy.wait_metric("headgate_connections_closed_total", reason="plaintext_http", side="client")


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH"])
def test_every_http_method_is_recognised(echo_proxy, method):
    with raw_socket(echo_proxy.port()) as client:
        client.sendall(f"{method} / HTTP/1.1\r\n\r\n".encode())
        assert b" 400 " in read_to_end(client)


def test_garbage_ends_the_connection_as_not_tls(echo_proxy):
    with raw_socket(echo_proxy.port()) as client:
        client.sendall(bytes(range(128, 256)) * 4)
        assert not read_to_end(client).startswith(b"HTTP")
    echo_proxy.wait_metric("headgate_handshake_failures_total", reason="not_tls")
    echo_proxy.wait_metric("headgate_connections_closed_total", reason="not_tls")


def test_random_bytes_never_stop_the_service(echo_proxy):
    for round_ in range(200):
        with raw_socket(echo_proxy.port()) as client:
            prefix = b"\x16\x03\x01" if round_ % 2 else b""
            try:
                client.sendall(prefix + os.urandom(1 + round_ * 7))
                client.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            read_to_end(client)
    with connect(echo_proxy.port()) as client:
        client.exchange(b"still here")


def test_a_client_hello_damaged_anywhere_never_stops_the_service(echo_proxy):
    with TlsClient(echo_proxy.port()) as client:
        hello = client.client_hello()
    for place in range(0, len(hello), 3):
        damaged = bytearray(hello)
        damaged[place] ^= 0xFF
        with raw_socket(echo_proxy.port()) as client:
            client.sendall(damaged)
            client.shutdown(socket.SHUT_WR)
            read_to_end(client)
    with connect(echo_proxy.port()) as client:
        client.exchange(b"still here")


def test_every_prefix_of_a_client_hello_ends_with_its_sender(echo_proxy):
    with TlsClient(echo_proxy.port()) as client:
        hello = client.client_hello()
    for size in range(1, len(hello)):
        with raw_socket(echo_proxy.port()) as client:
            client.sendall(hello[:size])
            client.shutdown(socket.SHUT_WR)
            read_to_end(client)
    echo_proxy.wait_metric("headgate_connections_active", 0)
    with connect(echo_proxy.port()) as client:
        client.exchange(b"still here")


def test_a_client_that_leaves_half_way_is_counted_as_having_left(echo_proxy):
    with TlsClient(echo_proxy.port()) as client:
        client.socket.sendall(client.client_hello())
        client.receive()
        client.socket.shutdown(socket.SHUT_WR)
        client.wait_transport_end()
    echo_proxy.wait_metric("headgate_handshake_failures_total", reason="client_left")
    echo_proxy.wait_metric("headgate_connections_closed_total", reason="client_left_in_handshake", side="client")


def test_half_a_handshake_is_ended_by_the_handshake_timeout(impatient):
    with TlsClient(impatient.port()) as client:
        client.socket.sendall(client.client_hello())
        client.wait_transport_end()
    impatient.wait_metric("headgate_handshakes_total", result="timeout")
    impatient.wait_metric("headgate_connections_closed_total", reason="handshake_timeout", side="client")


def test_half_a_client_hello_is_ended_by_the_handshake_timeout(impatient):
    with TlsClient(impatient.port()) as client:
        hello = client.client_hello()
        client.socket.sendall(hello[: len(hello) // 2])
        client.wait_transport_end()
    impatient.wait_metric("headgate_handshakes_total", result="timeout")


def test_silence_is_ended_by_the_handshake_timeout(impatient):
    with raw_socket(impatient.port()) as client:
        assert read_to_end(client) == b""
    impatient.wait_metric("headgate_connections_active", 0)


def test_a_byte_now_and_then_does_not_outlive_the_handshake_timeout(impatient):
    """The deadline is for the whole handshake, not for each byte."""
    with TlsClient(impatient.port()) as client:
        started = time.monotonic()
        try:
            for value in client.client_hello():
                client.socket.sendall(bytes([value]))
                time.sleep(0.1)
        except OSError:
            pass
        assert time.monotonic() - started < 10
    impatient.wait_metric("headgate_handshakes_total", result="timeout")


def test_a_connection_without_a_byte_is_a_probe_counted_and_not_logged(echo_proxy):
    raw_socket(echo_proxy.port()).close()
    with connect(echo_proxy.port()) as client:
        client.exchange(b"x")
    echo_proxy.wait_metric("headgate_handshakes_total", result="failed", wanted=0)
    assert echo_proxy.complaints() == []


def test_a_close_notify_instead_of_a_handshake_is_not_a_crash(echo_proxy):
    with raw_socket(echo_proxy.port()) as client:
        client.sendall(b"\x15\x03\x01\x00\x02\x01\x00")
        client.shutdown(socket.SHUT_WR)
        read_to_end(client)
    with connect(echo_proxy.port()) as client:
        client.exchange(b"still here")


def test_an_alert_of_the_client_is_counted_as_the_peers(echo_proxy):
    with TlsClient(echo_proxy.port(), version=TLS12) as client:
        client.socket.sendall(client.client_hello())
        client.receive()
        client.socket.sendall(b"\x15\x03\x03\x00\x02\x02\x30")  # fatal, unknown_ca
        client.wait_transport_end()
    echo_proxy.wait_metric("headgate_handshake_failures_total", reason="peer_alert")
    assert [s.labels["alert"] for s in echo_proxy.metrics().matching("headgate_handshake_failures_total")]


def test_renegotiation_is_refused(echo_proxy):
    with connect(echo_proxy.port(), version=TLS12) as client:
        client.exchange(b"before")
        client.tls.renegotiate()
        try:
            client.tls.do_handshake()
        except SSL.Error:
            pass
        client.send_produced()
        with pytest.raises((SSL.Error, OSError)):
            while True:
                client.tls.do_handshake()
                client.send_produced()
                client.receive()
                client.recv()


def test_tls_1_1_is_refused_with_protocol_version(echo_proxy):
    hello = tls11_client_hello()
    with raw_socket(echo_proxy.port()) as client:
        client.sendall(hello)
        assert (2, 70) in alerts_in(read_to_end(client))
    echo_proxy.wait_metric("headgate_handshake_failures_total", reason="unsupported_version")


def tls11_client_hello():
    """A ClientHello that offers TLS 1.1 and nothing later."""
    ciphers = b"\xc0\x13\xc0\x14\x00\x2f"
    body = b"\x03\x02" + bytes(range(32)) + b"\x00" + len(ciphers).to_bytes(2, "big") + ciphers + b"\x01\x00"
    extensions = b"\x00\x0a\x00\x04\x00\x02\x00\x17" + b"\x00\x0b\x00\x02\x01\x00"
    body += len(extensions).to_bytes(2, "big") + extensions
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake


def test_a_client_without_a_common_cipher_gets_handshake_failure_by_name(echo_proxy):
    alert = handshake_alert(echo_proxy.port(), version=TLS12, ciphers="AES128-SHA")
    assert "handshake failure" in alert
    echo_proxy.wait_metric("headgate_handshake_failures_total", reason="no_shared_cipher")


def test_an_early_application_record_is_refused(echo_proxy):
    with TlsClient(echo_proxy.port()) as client:
        client.socket.sendall(b"\x17\x03\x03\x00\x05hello" + client.client_hello())
        client.wait_transport_end()
    with connect(echo_proxy.port()) as client:
        client.exchange(b"still here")


def test_a_client_that_resets_while_bytes_are_on_their_way_does_not_kill_the_process(start, backend, certificate):
    headgate = start(proxy(backend(endless_source).address, certificate))
    for _ in range(20):
        with connect(headgate.port()) as client:
            client.recv(1)
            client.reset()
    headgate.wait_metric("headgate_connections_active", 0)
    with connect(headgate.port()) as client:
        assert client.recv(1)
