"""How a connection ends, as its two peers see it: every byte first, then the truth about the end."""

import contextlib
import fcntl
import signal
import socket
import ssl
import struct
import threading

import pytest
from OpenSSL import SSL

from harness.backends import CHUNK_BYTES, known_stream, reset_on_close
from harness.config import plain_proxy, proxy
from harness.tls_client import TLS12, TLS13, TlsClient, connect, raw_socket, seen_by
from harness.tools import is_on_awslc
from harness.waiting import DEADLINE_SECONDS, wait_until
from test_starttls import DIALOGUES, GREETINGS

SIZE_BYTES = 60_000
VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])
READERS = pytest.mark.parametrize("slow", [False, True], ids=["fast", "slow"])


def all_bytes(size=SIZE_BYTES):
    return b"".join(known_stream(size))


def delivered(connection):
    """Waits until the kernel of the other end has acknowledged everything."""
    siocoutq = 0x5411

    def outstanding():
        return struct.unpack("i", fcntl.ioctl(connection.fileno(), siocoutq, bytes(4)))[0]

    wait_until(lambda: outstanding() == 0, "the other kernel has everything")


def socket_to(port, slow):
    connection = socket.socket()
    if slow:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    connection.settimeout(DEADLINE_SECONDS)
    connection.connect(("127.0.0.1", port))
    return connection


def answer_then_reset(answered):
    """Answers a first byte with everything, and resets when `answered` says so."""

    def serve(connection):
        connection.recv(1)
        connection.sendall(all_bytes())
        delivered(connection)
        reset_on_close(connection)
        answered.set()

    return serve


@VERSIONS
@READERS
def test_a_tls_client_gets_every_byte_before_a_backends_reset(
    start, backend, certificate, record_layer, version, slow
):
    answered = threading.Event()
    one = backend(answer_then_reset(answered))
    headgate = start(proxy(one.address, certificate, tls={"record_layer": record_layer}))
    connection = socket_to(headgate.port(), slow)
    with TlsClient(headgate.port(), version=version, connected=connection).handshake() as client:
        client.send(b"q")
        assert answered.wait(DEADLINE_SECONDS)
        one.wait_open(0)
        assert seen_by(client) == (all_bytes(), "cut short")
    headgate.wait_metric("headgate_connections_closed_total", reason="backend_reset", side="backend")


@READERS
def test_a_plain_client_gets_every_byte_before_a_backends_reset(start, backend, slow):
    answered = threading.Event()
    one = backend(answer_then_reset(answered))
    headgate = start(plain_proxy(one.address))
    with socket_to(headgate.port(), slow) as client:
        client.sendall(b"q")
        assert answered.wait(DEADLINE_SECONDS)
        one.wait_open(0)
        data = b""
        with pytest.raises(ConnectionResetError):
            while chunk := client.recv(1500):
                data += chunk
        assert data == all_bytes()


@VERSIONS
@READERS
def test_a_response_that_a_tls_backend_ends_without_close_notify_arrives_whole_and_as_cut(
    start, backend, authority, certificate, version, slow
):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate.certificate, certificate.key)

    def answer_and_close(connection):
        connection.recv(9)
        connection.sendall(all_bytes())
        socket.socket(fileno=connection.detach()).close()

    one = backend(answer_and_close, wrap=lambda connection: server.wrap_socket(connection, server_side=True))
    app = {"tls": {"ca": str(authority.file), "server_name": "app.test"}}
    headgate = start(proxy(one.address, certificate, app=app))
    with TlsClient(0, version=version, connected=socket_to(headgate.port(), slow)).handshake() as client:
        client.send(b"q")
        one.wait_open(0)
        assert seen_by(client) == (all_bytes(), "cut short")
    headgate.wait_metric("headgate_connections_closed_total", reason="backend_truncated", side="backend")


# The TLS of a passthrough route is the backend's, so the client is a plain one to Headgate.
@READERS
def test_a_client_of_a_passthrough_route_gets_every_byte_before_a_reset(start, backend, certificate, slow):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate.certificate, certificate.key)
    answered = threading.Event()

    def answer_and_reset(connection):
        answer_then_reset(answered)(connection)
        socket.socket(fileno=connection.detach()).close()

    one = backend(answer_and_reset, wrap=lambda connection: server.wrap_socket(connection, server_side=True))
    routes = [{"sni": ["app.test"], "passthrough": True, "backend": "app"}]
    headgate = start(proxy(one.address, certificate, listener={"routes": routes}))
    with TlsClient(0, connected=socket_to(headgate.port(), slow)).handshake() as client:
        client.send(b"q")
        assert answered.wait(DEADLINE_SECONDS)
        one.wait_open(0)
        assert seen_by(client) == (all_bytes(), "reset")


class SlowSink:
    """A backend's behaviour: it reads nothing until `go`, then everything, and notes how it ended."""

    def __init__(self):
        self.go = threading.Event()
        self.data = b""
        self.end = None

    def __call__(self, connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.go.wait(DEADLINE_SECONDS)
        try:
            while chunk := connection.recv(1500):
                self.data += chunk
            self.end = "in order"
        except ConnectionResetError:
            self.end = "reset"


@VERSIONS
def test_a_slow_backend_gets_every_byte_before_a_clients_reset(start, backend, certificate, record_layer, version):
    sink = SlowSink()
    headgate = start(proxy(backend(sink).address, certificate, tls={"record_layer": record_layer}))
    with connect(headgate.port(), version=version) as client:
        client.send(all_bytes())
        delivered(client.socket)
        client.reset()
    sink.go.set()
    wait_until(lambda: sink.end, "the backend has seen the end")
    assert (sink.data, sink.end) == (all_bytes(), "reset")
    headgate.wait_metric("headgate_connections_closed_total", reason="client_reset", side="client")


# One-way senders do so: the session ticket is unread, so their kernel resets the connection.
def test_a_client_that_leaves_its_ticket_unread_loses_nothing_of_what_it_sent(start, backend, certificate):
    sink = SlowSink()
    headgate = start(proxy(backend(sink).address, certificate))
    client = TlsClient(headgate.port(), version=TLS13).handshake()
    client.send(all_bytes())
    delivered(client.socket)
    client.close()
    sink.go.set()
    wait_until(lambda: sink.end, "the backend has seen the end")
    assert sink.data == all_bytes()


def test_an_answer_that_ended_in_order_stays_so_when_the_upload_is_reset_later(start, backend, certificate):
    size = 1_500_000
    reset_now = threading.Event()

    def answer_end_and_reset(connection):
        connection.recv(1)
        connection.sendall(all_bytes(size))
        connection.shutdown(socket.SHUT_WR)
        reset_now.wait(DEADLINE_SECONDS)
        reset_on_close(connection)

    one = backend(answer_end_and_reset)
    headgate = start(proxy(one.address, certificate))
    with TlsClient(0, connected=socket_to(headgate.port(), slow=True)).handshake() as client:
        client.send(b"q")
        start_of_answer = client.recv_exactly(1000)
        headgate.wait_metric("headgate_bytes_total", size, direction="to_client")
        reset_now.set()
        one.wait_open(0)
        client.send(b"the upload goes on")
        data, end = seen_by(client)
        assert (len(start_of_answer + data), end) == (size, "in order")
        assert start_of_answer + data == all_bytes(size)


@VERSIONS
def test_data_and_a_fatal_alert_in_one_segment_are_no_end_in_order(start, backend, certificate, record_layer, version):
    sink = SlowSink()
    sink.go.set()
    headgate = start(proxy(backend(sink).address, certificate, tls={"record_layer": record_layer}))
    with connect(headgate.port(), version=version) as client:
        client.tls.send(b"half a question")
        produced = client.produced()
        # OpenSSL sends an alert about a record that it cannot read.
        client.tls.bio_write(b"\x17\x03\x03\x00\x20" + bytes(32))
        with contextlib.suppress(SSL.Error):
            client.tls.recv(1)
        client.socket.sendall(produced + client.produced())
        wait_until(lambda: sink.end, "the backend has seen the end")
    assert (sink.data, sink.end) == (b"half a question", "reset")
    headgate.wait_metric("headgate_connections_closed_total", reason="client_protocol_error", side="client")


@VERSIONS
def test_an_idle_connection_ends_in_order_on_both_sides(start, backend, certificate, record_layer, version):
    sink = SlowSink()
    sink.go.set()
    listener = {"timeouts": {"idle": "500ms"}}
    headgate = start(proxy(backend(sink).address, certificate, tls={"record_layer": record_layer}, listener=listener))
    with connect(headgate.port(), version=version) as client:
        client.send(b"x")
        assert seen_by(client) == (b"", "in order")
        wait_until(lambda: sink.end, "the backend has seen the end")
    assert (sink.data, sink.end) == (b"x", "in order")


@VERSIONS
@pytest.mark.parametrize("how", ["lifetime", "drain", "sigint"])
def test_a_cut_is_an_alert_to_the_client_and_a_reset_to_the_backend(
    start, backend, certificate, record_layer, version, how
):
    sink = SlowSink()
    sink.go.set()
    listener = {"timeouts": {"lifetime": "1s"}} if how == "lifetime" else {}
    headgate = start(proxy(backend(sink).address, certificate, tls={"record_layer": record_layer}, listener=listener))
    with connect(headgate.port(), version=version) as client:
        client.send(b"half an upload")
        wait_until(lambda: sink.data == b"half an upload", "the backend has the half")
        if how == "drain":
            assert headgate.post("/drain?listener=web&deadline=0s")[0] == 200
        if how == "sigint":
            headgate.signal(signal.SIGINT)
        assert seen_by(client) == (b"", "tlsv1 alert internal error")
        wait_until(lambda: sink.end, "the backend has seen the end")
    assert (sink.data, sink.end) == (b"half an upload", "reset")
    if how == "sigint":
        assert headgate.wait_exit() == 0


def test_a_drain_ends_in_order_what_is_at_rest(start, backend, certificate):
    sink = SlowSink()
    sink.go.set()
    headgate = start(proxy(backend(sink).address, certificate))
    with connect(headgate.port()) as client:
        client.send(b"x")
        assert headgate.post("/drain?listener=web&deadline=4s")[0] == 200
        assert seen_by(client) == (b"", "in order")
        wait_until(lambda: sink.end, "the backend has seen the end")
    assert sink.end == "in order"


@pytest.mark.parametrize(
    ("layer", "alert"), [("auto", "alert certificate revoked"), ("openssl", "alert internal error")]
)
def test_a_client_hears_that_its_certificate_was_revoked(start, backend, authority, certificate, layer, alert):
    peer, nobody = authority.issue(client=True), authority.issue(client=True)

    def revoke(*pairs):
        return str(authority.revocation_list(*pairs, file="ends.crl"))

    client_auth = {"mode": "required", "ca": str(authority.file), "crl": revoke(nobody)}
    headgate = start(proxy(backend().address, certificate, tls={"client_auth": client_auth, "record_layer": layer}))
    with connect(headgate.port(), certificate=peer) as client:
        client.exchange(b"in")
        revoke(nobody, peer)
        assert headgate.post("/reload")[0] == 200
        received, end = seen_by(client)
        if is_on_awslc():
            alert = "alert certificate revoked"  # it sends any alert
        assert received == b"" and end.endswith(alert), end  # OpenSSL's words begin with the protocol, as it calls it


@VERSIONS
def test_a_client_hears_by_an_alert_that_no_backend_can_be_reached(start, certificate, record_layer, refusing, version):
    headgate = start(proxy(refusing, certificate, tls={"record_layer": record_layer}))
    with connect(headgate.port(), version=version) as client:
        assert seen_by(client) == (b"", "tlsv1 alert internal error")
    headgate.wait_metric("headgate_connections_closed_total", reason="backend_connect_failed", side="backend")


def test_a_plain_client_of_a_backend_that_cannot_be_reached_is_reset(start, refusing):
    headgate = start(plain_proxy(refusing))
    with pytest.raises(ConnectionResetError), raw_socket(headgate.port()) as client:
        client.sendall(b"x")
        client.recv(1)


ERRORS = {
    "postgres": b"E\x00\x00\x00",
    "smtp": b"421 ",
    "imap": b"* BYE ",
    "pop3": b"-ERR ",
    "ldap": b"\x30",
}


@pytest.mark.parametrize("protocol", DIALOGUES)
def test_a_client_of_starttls_hears_its_protocols_own_error(start, certificate, refusing, protocol):
    assert set(GREETINGS) <= set(ERRORS)
    headgate = start(proxy(refusing, certificate, listener={"starttls": protocol}))
    connection = raw_socket(headgate.port())
    DIALOGUES[protocol](connection)
    with TlsClient(0, connected=connection).handshake() as client:
        said, end = seen_by(client)
    assert said.startswith(ERRORS[protocol]) and b"no server can be reached" in said
    assert end == "tlsv1 alert internal error"
    if protocol == "postgres":
        assert int.from_bytes(said[1:5], "big") == len(said) - 1
    if protocol == "ldap":
        assert said[1] == len(said) - 2 and b"1.3.6.1.4.1.1466.20036" in said


def flood(connection):
    """Sends without end when a first byte has come."""
    connection.recv(1)
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(bytes(CHUNK_BYTES))


def test_a_client_that_reads_nothing_does_not_hold_the_process_at_its_end(start, backend, certificate):
    headgate = start(proxy(backend(flood).address, certificate, listener={"timeouts": {"shutdown": "300s"}}))
    with TlsClient(0, connected=socket_to(headgate.port(), slow=True)).handshake() as client:
        client.send(b"x")
        wait_until(lambda: headgate.metric("headgate_bytes_total", direction="to_client") > 0, "bytes are on their way")
        headgate.signal(signal.SIGINT)
        assert headgate.wait_exit() == 0


def test_a_client_that_reads_nothing_is_given_up(start, backend, certificate):
    listener = {"timeouts": {"lifetime": "1s", "shutdown": "500ms"}}
    headgate = start(proxy(backend(flood).address, certificate, listener=listener))
    with TlsClient(0, connected=socket_to(headgate.port(), slow=True)).handshake() as client:
        client.send(b"x")
        headgate.wait_metric("headgate_connections_closed_total", reason="lifetime")
        headgate.wait_metric("headgate_connections_active", 0)
