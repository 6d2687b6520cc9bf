"""Bytes between client and backend, and how each direction ends."""

import hashlib
import socket
import threading
import time

import pytest
from OpenSSL import SSL

from harness.backends import CHUNK_BYTES, digest_sink, known_digest, known_stream, reset, saying, silent, source
from harness.config import plain_proxy, proxy
from harness.tls_client import TLS12, TLS13, TlsClient, connect, python_tls, raw_socket, read_to_end
from harness.waiting import wait_until

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])


@pytest.fixture
def relay(start, backend, certificate, record_layer):
    """Headgate before a backend of the given behaviour, with either record layer."""

    def start_before(behaviour, **options):
        return start(proxy(backend(behaviour).address, certificate, tls={"record_layer": record_layer}, **options))

    return start_before


def echo_once(connection):
    """Echoes until the client ends its direction, then reports what it saw."""
    while chunk := connection.recv(CHUNK_BYTES):
        connection.sendall(chunk)
    connection.sendall(b"the client has ended")


@VERSIONS
def test_bytes_come_back_exactly(relay, version):
    headgate = relay(echo_once)
    with connect(headgate.port(), version=version) as client:
        for size in (1, 2, 255, 16383, 16384, 16385, 100_000):
            client.exchange(b"".join(known_stream(size)))


def test_one_byte_at_a_time_is_relayed_at_once(relay):
    headgate = relay(echo_once)
    with connect(headgate.port()) as client:
        for value in range(200):
            client.exchange(bytes([value]))


@VERSIONS
def test_a_client_that_ends_its_direction_still_gets_the_answer(relay, version):
    headgate = relay(echo_once)
    with connect(headgate.port(), version=version) as client:
        client.send(b"question")
        client.end_writing()
        assert client.recv_to_end() == b"question" + b"the client has ended"
    headgate.wait_metric("headgate_connections_closed_total", reason="finished")


@VERSIONS
def test_a_backend_that_ends_its_direction_still_gets_what_the_client_sends(start, backend, certificate, version):
    received = bytearray()

    def end_then_read(connection):
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(CHUNK_BYTES):
            received.extend(chunk)

    headgate = start(proxy(backend(end_then_read).address, certificate))
    with connect(headgate.port(), version=version) as client:
        assert client.recv_to_end() == b"bye"
        client.send(b"one more thing")
        client.end_writing()
        wait_until(lambda: received == b"one more thing", "the backend got the client's last bytes")
    headgate.wait_metric("headgate_connections_closed_total", reason="finished")


@VERSIONS
def test_a_backends_end_reaches_the_client_as_close_notify_and_fin(relay, version):
    headgate = relay(saying(b"all there is"))
    with connect(headgate.port(), version=version) as client:
        assert client.recv_to_end() == b"all there is"
        client.end_writing()
        assert client.wait_transport_end() == "end"


@VERSIONS
def test_a_backends_reset_reaches_the_client_without_a_close_notify(relay, version):
    headgate = relay(reset)
    with connect(headgate.port(), version=version) as client:
        client.send(b"x")
        with pytest.raises((ConnectionResetError, SSL.SysCallError, SSL.Error)):
            client.recv_to_end()
        assert client.tls.get_shutdown() & SSL.RECEIVED_SHUTDOWN == 0, "a close_notify came"
    headgate.wait_metric("headgate_connections_closed_total", reason="backend_reset", side="backend")


def test_a_backends_reset_is_a_fin_on_the_socket_of_a_tls_client(relay):
    headgate = relay(reset)
    with connect(headgate.port()) as client:
        client.send(b"x")
        assert client.wait_transport_end() == "end"


@VERSIONS
def test_a_clients_reset_reaches_the_backend_as_a_reset(start, backend, certificate, version):
    ends = []

    def note_the_end(connection):
        try:
            connection.sendall(b"ready")
            while connection.recv(CHUNK_BYTES):
                pass
            ends.append("end")
        except ConnectionResetError:
            ends.append("reset")

    headgate = start(proxy(backend(note_the_end).address, certificate))
    with connect(headgate.port(), version=version) as client:
        client.recv_exactly(5)
        client.reset()
    wait_until(lambda: ends, "the backend saw the client go")
    assert ends == ["reset"]
    headgate.wait_metric("headgate_connections_closed_total", reason="client_reset", side="client")


def test_a_client_that_leaves_without_close_notify_ends_the_backend_and_is_counted_as_truncated(relay):
    headgate = relay(echo_once)
    with connect(headgate.port()) as client:
        client.exchange(b"x")
        client.socket.shutdown(socket.SHUT_WR)
        client.wait_transport_end()
    headgate.wait_metric("headgate_connections_closed_total", reason="client_truncated")
    headgate.wait_metric("headgate_connections_active", 0)


def test_bytes_before_a_close_notify_are_not_lost_when_both_leave_in_one_segment(relay):
    headgate = relay(digest_sink)
    with connect(headgate.port()) as client:
        data = b"".join(known_stream(50_000))
        client.tls.send(data[:16384])
        client.tls.send(data[16384:32768])
        client.tls.send(data[32768:49152])
        client.tls.send(data[49152:])
        client.tls.shutdown()
        client.send_produced()
        assert client.recv_to_end().decode() == known_digest(50_000)


def test_data_that_comes_with_the_finished_reaches_the_backend(relay):
    headgate = relay(echo_once)
    with connect_and_send_with_finished(headgate.port(), b"early bird") as client:
        assert client.recv_exactly(10) == b"early bird"


def connect_and_send_with_finished(port, data):
    """A TLS 1.3 client whose Finished and first data leave in one segment."""
    client = TlsClient(port, version=TLS13)
    done = False
    while not done:
        try:
            client.tls.do_handshake()
            done = True
        except SSL.WantReadError:
            client.send_produced()
            client.receive()
    client.tls.send(data)
    client.send_produced()
    return client


def test_a_record_split_at_every_byte_is_put_together(relay):
    headgate = relay(echo_once)
    with connect(headgate.port()) as client:
        client.tls.send(b"a record in pieces")
        for value in client.produced():
            client.socket.sendall(bytes([value]))
        assert client.recv_exactly(18) == b"a record in pieces"


@VERSIONS
def test_a_damaged_record_ends_the_connection_with_bad_record_mac(relay, version):
    headgate = relay(silent)
    with connect(headgate.port(), version=version) as client:
        client.tls.send(b"soon damaged")
        record = bytearray(client.produced())
        record[-1] ^= 1
        client.socket.sendall(record)
        with pytest.raises(SSL.Error, match="bad record mac"):
            client.recv_to_end()
    headgate.wait_metric("headgate_connections_closed_total", reason="client_protocol_error")


def test_a_damaged_record_of_one_connection_leaves_the_others_alone(relay):
    headgate = relay(echo_once)
    with connect(headgate.port()) as other, connect(headgate.port()) as client:
        other.exchange(b"before")
        client.socket.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        client.wait_transport_end()
        other.exchange(b"after")


@VERSIONS
def test_an_alert_in_plaintext_after_the_handshake_is_a_broken_record(relay, version):
    headgate = relay(silent)
    with connect(headgate.port(), version=version) as client:
        client.socket.sendall(b"\x15\x03\x03\x00\x02\x02\x50")
        assert client.wait_transport_end() in ("end", "reset")
    headgate.wait_metric("headgate_connections_closed_total", reason="client_protocol_error")


@VERSIONS
def test_a_backend_slower_than_the_client_gets_every_byte(start, backend, certificate, record_layer, version):
    size = 8 << 20

    def slow_digest(connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        digest_sink(_SmallReads(connection))

    headgate = start(proxy(backend(slow_digest).address, certificate, tls={"record_layer": record_layer}))
    with connect(headgate.port(), version=version) as client:
        for chunk in known_stream(size):
            client.send(chunk)
        client.end_writing()
        assert client.recv_to_end().decode() == known_digest(size)


class _SmallReads:
    """A socket that takes little at a time."""

    def __init__(self, connection):
        self._connection = connection
        self.sendall = connection.sendall

    def recv(self, _):
        return self._connection.recv(1500)


@VERSIONS
def test_a_client_slower_than_the_backend_gets_every_byte(relay, version):
    size = 8 << 20
    headgate = relay(source(size))
    digest = hashlib.sha256()
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", headgate.port()))
    with TlsClient(headgate.port(), version=version, connected=connection).handshake() as client:
        while chunk := client.recv(1500):
            digest.update(chunk)
    assert digest.hexdigest() == known_digest(size)


def test_plaintext_in_and_out_is_relayed_with_half_close(start, backend):
    headgate = start(plain_proxy(backend(echo_once).address))
    with raw_socket(headgate.port()) as client:
        client.sendall(b"no tls here")
        client.shutdown(socket.SHUT_WR)
        assert read_to_end(client) == b"no tls here" + b"the client has ended"


def test_an_idle_connection_ends_after_the_idle_timeout(start, backend, certificate):
    headgate = start(proxy(backend(silent).address, certificate, listener={"timeouts": {"idle": "500ms"}}))
    with connect(headgate.port()) as client:
        client.send(b"x")
        client.wait_transport_end()
    headgate.wait_metric("headgate_connections_closed_total", reason="idle_timeout")


def test_bytes_in_one_direction_keep_a_connection_from_being_idle(start, backend, certificate):
    headgate = start(proxy(backend(silent).address, certificate, listener={"timeouts": {"idle": "1s"}}))
    with connect(headgate.port()) as client:
        started = time.monotonic()
        while time.monotonic() - started < 2.5:
            client.send(b"x")
            time.sleep(0.1)
        assert headgate.metric("headgate_connections_active") == 1


def test_a_half_closed_connection_ends_after_the_half_close_timeout(start, backend, certificate):
    over = threading.Event()

    def never_ends(connection):
        silent(connection)
        over.wait(30)

    headgate = start(proxy(backend(never_ends).address, certificate, listener={"timeouts": {"half_close": "500ms"}}))
    with connect(headgate.port()) as client:
        client.send(b"x")
        client.end_writing()
        client.wait_transport_end()
        headgate.wait_metric("headgate_connections_closed_total", reason="half_close_timeout")
    over.set()


def test_no_connection_lives_longer_than_the_lifetime(start, backend, certificate):
    headgate = start(proxy(backend(echo_once).address, certificate, listener={"timeouts": {"lifetime": "1s"}}))
    with connect(headgate.port()) as client:
        try:
            while True:
                client.exchange(b"busy")
        except (AssertionError, OSError, SSL.Error):
            pass
    headgate.wait_metric("headgate_connections_closed_total", reason="lifetime")


def test_pythons_own_tls_sees_a_clean_end(relay, authority):
    headgate = relay(saying(b"for python"))
    with python_tls(headgate.port(), ca=authority.file) as client:
        assert client.recv(100) == b"for python"
        assert client.recv(100) == b""  # a missing close_notify would raise ssl.SSLEOFError
