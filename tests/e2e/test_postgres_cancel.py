"""Requests of PostgreSQL clients to cancel a query reach the server that has the session, which only that server knows."""

import os
import ssl
import struct

import pytest

from harness.backends import echo, reset_on_close, silent
from harness.config import plain_proxy, proxy
from harness.tls_client import python_context, raw_socket, read_to_end
from harness.waiting import wait_until

SSL_REQUEST = struct.pack(">II", 8, 80877103)
STARTUP = struct.pack(">II", 8 + 10, 3 << 16) + b"user\0app\0\0"
CANCEL = struct.pack(">III", 16, 80877102, 4711) + b"\x01\xff\x00k"
LONG_CANCEL = struct.pack(">III", 12 + 32, 80877102, 4711) + bytes(range(32))


class Postgres:
    """A server that answers a StartupMessage with its name, and keeps the cancel requests that it gets."""

    def __init__(self, name, tls=None):
        self.name = name
        self.tls = tls
        self.cancelled = []

    def __call__(self, connection):
        if self.tls:
            assert connection.recv(8) == SSL_REQUEST
            connection.sendall(b"S")
            connection = self.tls.wrap_socket(connection, server_side=True)
        size, code = struct.unpack(">II", receive(connection, 8))
        rest = receive(connection, size - 8)
        if code == 80877102:
            self.cancelled.append(struct.pack(">II", size, code) + rest)
            return self.end(connection)
        connection.sendall(self.name)
        echo(connection)

    def end(self, connection):
        """As a real server does."""


class Silent(Postgres):
    def end(self, connection):
        silent(connection)


class Garbage(Postgres):
    def end(self, connection):
        connection.sendall(os.urandom(100_000))


class Resetting(Postgres):
    def end(self, connection):
        reset_on_close(connection)


def receive(connection, size):
    received = b""
    while len(received) < size:
        piece = connection.recv(size - len(received))
        if not piece:
            raise OSError("it ended early")
        received += piece
    return received


@pytest.fixture
def servers(backend):
    """Three servers, each with an address, in the order of the configuration."""

    def start_all(*kinds):
        made = [kind(b"%d" % index) for index, kind in enumerate(kinds or (Postgres,) * 3)]
        for one in made:
            one.address = backend(one).address
        return made

    return start_all


@pytest.fixture
def dial(authority):
    """Connects a client with TLS, by SSLRequest or at once."""

    def dial_one(port, sni="app.test", direct=False, **options):
        connection = raw_socket(port)
        if not direct:
            connection.sendall(SSL_REQUEST)
            assert connection.recv(1) == b"S"
        context = python_context(authority.file)
        if direct:
            context.set_alpn_protocols(["postgresql"])
        return context.wrap_socket(connection, server_hostname=sni, **options)

    return dial_one


def cancelling(certificate, servers, listener=None, **settings):
    listener = {"starttls": "postgres", **(listener or {})}
    tls = {"alpn": ["postgresql"]}
    return proxy([one.address for one in servers], certificate, tls=tls, listener=listener, workers=1, **settings)


def session_name(client):
    client.sendall(STARTUP)
    return receive(client, 1)


def cancels(headgate, result="delivered"):
    return headgate.metric("headgate_postgres_cancels_total", listener="web", result=result)


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("request_bytes", [CANCEL, LONG_CANCEL], ids=["short_key", "long_key"])
def test_a_cancel_request_over_tls_reaches_every_server(start, servers, certificate, dial, direct, request_bytes):
    made = servers()
    headgate = start(cancelling(certificate, made))
    with dial(headgate.port(), direct=direct) as client:
        client.sendall(request_bytes)
        assert client.recv(1) == b"", "the end tells the client that its request has been acted on"
        assert [one.cancelled for one in made] == [[request_bytes]] * 3
    assert cancels(headgate) == 1
    (line,) = headgate.wait_log(message="connection ended")
    assert (line["reason"], line["level"]) == ("finished", "info")
    assert line["detail"] == "a cancel request, delivered to 3 of 3 addresses"


def test_a_cancel_request_without_tls_reaches_every_server_as_older_clients_send_it(start, servers, certificate):
    made = servers()
    headgate = start(cancelling(certificate, made))
    with raw_socket(headgate.port()) as client:
        for byte in CANCEL:
            client.sendall(bytes([byte]))
        read_to_end(client)
    assert [one.cancelled for one in made] == [[CANCEL]] * 3
    assert cancels(headgate) == 1


def test_a_cancel_request_without_tls_reaches_the_backends_of_all_routes(start, servers, certificate):
    """It comes with no name."""
    made = servers()
    config = cancelling(certificate, made[:1], listener={"routes": [{"sni": ["other.test"], "backend": "other"}]})
    config["backends"]["other"] = {"servers": [one.address for one in made[1:]]}
    headgate = start(config)
    with raw_socket(headgate.port()) as client:
        client.sendall(CANCEL)
        read_to_end(client)
    assert [one.cancelled for one in made] == [[CANCEL]] * 3


def test_a_cancel_request_over_tls_stays_with_the_backend_of_its_route(start, servers, authority, dial):
    made = servers()
    config = cancelling(
        authority.issue("app.test", "other.test"),
        made[:1],
        listener={"routes": [{"sni": ["other.test"], "backend": "other"}]},
    )
    config["backends"]["other"] = {"servers": [one.address for one in made[1:]]}
    headgate = start(config)
    with dial(headgate.port(), sni="other.test") as client:
        client.sendall(CANCEL)
        assert client.recv(1) == b""
    assert [one.cancelled for one in made] == [[], [CANCEL], [CANCEL]]


def test_without_a_client_certificate_nothing_is_cancelled_where_clients_need_one(start, servers, certificate, authority):
    made = servers()
    config = cancelling(certificate, made)
    config["listeners"][0]["tls"]["client_auth"] = {"mode": "required", "ca": str(authority.file)}
    headgate = start(config)
    with raw_socket(headgate.port()) as client:
        client.sendall(CANCEL)
        read_to_end(client)
    headgate.wait_metric("headgate_postgres_cancels_total", 1, result="refused")
    assert not any(one.cancelled for one in made)


def test_a_client_without_tls_cancels_at_servers_that_want_tls(start, backend, certificate, authority):
    """A plaintext listener in front of servers that are asked for TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    made = [Postgres(b"0", context), Postgres(b"1", context)]
    tls = {"ca": str(authority.file), "server_name": "localhost", "starttls": "postgres"}
    headgate = start(plain_proxy([backend(one).address for one in made], app={"tls": tls}, workers=1))
    with raw_socket(headgate.port()) as first, raw_socket(headgate.port()) as second:
        assert {session_name(first), session_name(second)} == {b"0", b"1"}
    with raw_socket(headgate.port()) as client:
        client.sendall(CANCEL)
        read_to_end(client)
    assert [one.cancelled for one in made] == [[CANCEL]] * 2
    assert cancels(headgate) == 1


@pytest.mark.parametrize("bad", [Silent, Garbage, Resetting])
def test_a_bad_server_does_not_keep_the_request_from_the_others(start, servers, certificate, dial, refusing, deaf, bad):
    made = servers(bad, Postgres)
    addresses = [refusing, deaf, *(one.address for one in made)]
    config = cancelling(certificate, made, app={"connect_timeout": "300ms"})
    config["backends"]["app"]["servers"] = addresses
    headgate = start(config)
    with dial(headgate.port()) as client:
        client.sendall(CANCEL)
        assert client.recv(1) == b""
    assert [one.cancelled for one in made] == [[CANCEL]] * 2
    (line,) = headgate.wait_log(message="connection ended")
    assert line["detail"] == "a cancel request, delivered to 2 of 4 addresses"


def test_a_request_that_no_server_gets_is_counted_as_failed(start, certificate, dial, refusing, deaf):
    config = proxy([refusing, deaf], certificate, listener={"starttls": "postgres"}, app={"connect_timeout": "300ms"})
    headgate = start(config)
    with raw_socket(headgate.port()) as client:
        client.sendall(CANCEL)
        read_to_end(client)
    assert cancels(headgate, "failed") == 1
    assert headgate.wait_log(message="connection ended")[0]["reason"].startswith("backend_connect_")


def test_servers_that_are_full_down_or_without_weight_get_it_too(start, servers, certificate, dial):
    """They may have the session; the one that is full keeps its session."""
    made = servers()
    full, down, emptied = made
    config = cancelling(certificate, made)
    config["backends"]["app"] = {
        "servers": [{"address": full.address, "max_connections": 1}, down.address, {"address": emptied.address, "weight": 0}],
        "health_check": {"expect": "never said", "interval": "50ms", "timeout": "50ms", "fall": 1},
    }
    headgate = start(config)
    headgate.wait_metric("headgate_backend_up", 0)
    with dial(headgate.port()) as client:
        client.sendall(CANCEL)
        assert client.recv(1) == b""
    assert [one.cancelled for one in made] == [[CANCEL]] * 3
    del config["backends"]["app"]["health_check"]
    headgate.write_config(config)
    assert headgate.post("/reload")[0] == 200
    with dial(headgate.port()) as first, dial(headgate.port()) as second:
        names = {session_name(first), session_name(second)}
        assert b"0" in names
        with dial(headgate.port()) as client:
            client.sendall(CANCEL)
            assert client.recv(1) == b""
        first.sendall(b"still here")
        assert receive(first, 10) == b"still here"
    assert [len(one.cancelled) for one in made] == [2, 2, 2]


def test_sessions_of_several_servers_begin_whatever_the_pieces_are_that_their_first_message_comes_in(
    start, servers, certificate, dial
):
    made = servers()
    headgate = start(cancelling(certificate, made))
    names = set()
    for _ in range(3):
        with dial(headgate.port()) as client:
            for byte in STARTUP[:-1]:
                client.sendall(bytes([byte]))
            client.sendall(STARTUP[-1:] + b"x" * 100_000)
            names.add(receive(client, 1))
            assert receive(client, 100_000) == b"x" * 100_000
    assert names == {b"0", b"1", b"2"}
    headgate.wait_metric("headgate_connections_active", 0, listener="web")
    assert headgate.metric("headgate_bytes_total", direction="from_client") == 3 * (len(STARTUP) + 100_000)


def test_a_client_that_leaves_before_its_first_message_is_no_failure(start, servers, certificate, dial):
    headgate = start(cancelling(certificate, servers()))
    with dial(headgate.port()):
        pass
    (line,) = headgate.wait_log(message="connection ended")
    assert (line["reason"], line["level"]) == ("starttls_ended", "info")


def test_a_client_that_is_silent_after_its_handshake_has_timeouts_handshake(start, servers, certificate, dial):
    headgate = start(cancelling(certificate, servers(), listener={"timeouts": {"handshake": "500ms"}}))
    with dial(headgate.port()) as client:
        with pytest.raises(ssl.SSLError):
            client.recv(1)
    assert headgate.wait_log(message="connection ended")[0]["reason"] == "handshake_timeout"


def test_cancel_requests_reach_the_servers_after_a_reload_and_an_upgrade(line, servers, certificate, dial):
    made = servers()
    config = cancelling(certificate, made[:2])
    running = line(config)
    headgate = running.headgate
    port = headgate.port()
    with dial(port) as session:
        name = session_name(session)
        config["backends"]["app"]["servers"].append(made[2].address)
        headgate.write_config(config)
        assert headgate.post("/reload")[0] == 200
        running.upgrade()
        with dial(port) as client:
            client.sendall(CANCEL)
            assert client.recv(1) == b""
        wait_until(lambda: all(one.cancelled == [CANCEL] for one in made), "all of them have it")
        session.sendall(b"still here")
        assert receive(session, 10) == b"still here" and name in (b"0", b"1")
