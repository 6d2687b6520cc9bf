"""STARTTLS of MySQL: the greeting is the server's, and the login is fitted where one side alone has TLS."""

import contextlib
import json
import ssl
import struct

import pytest

from harness.backends import echo, reset_on_close
from harness.config import plain_proxy, proxy
from harness.tls_client import python_context, raw_socket, read_to_end
from harness.tools import headgate_binary, run
from harness.waiting import wait_until

SSL, PROTOCOL_41 = 0x800, 0x200
CAPABILITIES = 0x00_0F_A2_05 | PROTOCOL_41  # without SSL
SCRAMBLE = b"12345678" + b"123456789012"


def packet(number, payload):
    return struct.pack("<I", len(payload))[:3] + bytes([number]) + payload


def greeting(offers_tls):
    low = (CAPABILITIES | (SSL if offers_tls else 0)) & 0xFFFF
    return packet(
        0,
        b"\x0a8.0.99\0" + struct.pack("<I", 9) + SCRAMBLE[:8] + b"\0" + struct.pack("<HBHH", low, 45, 2, 0xDF00 | 0xFF)
        + b"\x15" + bytes(10) + SCRAMBLE[8:] + b"\0caching_sha2_password\0",
    )  # fmt: skip


def head(tls):
    """What a request for TLS and a login have in common."""
    return struct.pack("<IIB", CAPABILITIES | (SSL if tls else 0), 1 << 24, 45) + bytes(23)


REQUEST = packet(1, head(tls=True))
OK = b"\0\0\0\2\0\0\0"
LOGIN = b"someone\0\0"


def receive(connection, size):
    received = b""
    while len(received) < size:
        piece = connection.recv(size - len(received))
        if not piece:
            raise ConnectionError(f"the peer ended behind {received!r}")
        received += piece
    return received


def take(connection, number):
    """The payload of the next packet, which must have this number."""
    length_and_number = receive(connection, 4)
    payload = receive(connection, int.from_bytes(length_and_number[:3], "little"))
    assert length_and_number[3] == number, (length_and_number, payload)
    return payload


class MysqlServer:
    """A server that asks for the whole password, in two rounds, as caching_sha2_password does over TLS and unix sockets.
    After the login it echoes. `logins` has each login's capabilities and password."""

    def __init__(self, certificate=None):
        self.logins = []
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(str(certificate.certificate), str(certificate.key))

    def __call__(self, connection):
        connection.sendall(greeting(offers_tls=self.context is not None))
        number = 1
        if self.context:
            assert take(connection, 1) == head(tls=True)
            connection = self.context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False)
            number = 2
        login = take(connection, number)
        connection.sendall(packet(number + 1, b"\x01\x04"))
        password = take(connection, number + 2)
        self.logins.append((struct.unpack("<I", login[:4])[0] & SSL, login[32:], password))
        connection.sendall(packet(number + 3, OK))
        echo(connection)


def log_in(connection, number):
    """A client's login, of which the first packet has that number, and what follows it."""
    connection.sendall(packet(number, head(tls=number == 2) + LOGIN))
    assert take(connection, number + 1) == b"\x01\x04"
    connection.sendall(packet(number + 2, b"secret\0"))
    assert take(connection, number + 3) == OK
    command = packet(0, b"\x03select 1")
    connection.sendall(command)
    assert receive(connection, len(command)) == command


def with_tls(connection, authority):
    """Takes the greeting, asks for TLS and begins it."""
    payload = take(connection, 0)
    at = payload.index(0) + 1 + 13
    assert struct.unpack_from("<H", payload, at)[0] & SSL
    assert payload[payload.index(0) + 5 :][:8] == SCRAMBLE[:8]
    connection.sendall(REQUEST)
    return python_context(authority.file).wrap_socket(connection, server_hostname="app.test")


@pytest.fixture
def asked(authority):
    """A backend that is asked for TLS."""
    return {"tls": {"ca": str(authority.file), "server_name": "localhost", "starttls": "mysql"}}


LISTENER = {"starttls": "mysql"}


@pytest.fixture
def on_unix_socket(start, backend, certificate, tmp_path):
    """Headgate with TLS before a server without TLS on a unix socket."""

    def start_one(serve, **listener):
        one = backend(serve, path=tmp_path / "sql")
        return start(proxy(one.address, certificate, listener={**LISTENER, **listener}))

    return start_one


def test_a_tls_client_logs_in_at_a_server_on_a_unix_socket(on_unix_socket, authority):
    server = MysqlServer()
    headgate = on_unix_socket(server)
    with raw_socket(headgate.port()) as plain:
        log_in(with_tls(plain, authority), number=2)
    assert server.logins == [(0, LOGIN, b"secret\0")]
    headgate.wait_metric("headgate_handshakes_total", result="ok")


def test_a_tls_client_logs_in_at_a_server_with_tls(start, backend, certificate, authority, asked):
    server = MysqlServer(certificate)
    headgate = start(proxy(backend(server).address, certificate, listener=LISTENER, app=asked))
    with raw_socket(headgate.port()) as plain:
        log_in(with_tls(plain, authority), number=2)
    assert server.logins == [(SSL, LOGIN, b"secret\0")]


def test_a_plaintext_client_logs_in_at_a_server_with_tls(start, backend, certificate, asked):
    server = MysqlServer(certificate)
    headgate = start(plain_proxy(backend(server).address, app=asked))
    with raw_socket(headgate.port()) as plain:
        payload = take(plain, 0)
        assert not struct.unpack_from("<H", payload, payload.index(0) + 14)[0] & SSL
        log_in(plain, number=1)
    assert server.logins == [(SSL, LOGIN, b"secret\0")]


def test_a_client_of_implicit_tls_logs_in_at_a_server_with_tls(start, backend, certificate, authority, asked):
    server = MysqlServer(certificate)
    headgate = start(proxy(backend(server).address, certificate, app=asked))
    with raw_socket(headgate.port()) as plain:
        with python_context(authority.file).wrap_socket(plain, server_hostname="app.test") as client:
            take(client, 0)
            log_in(client, number=1)
    assert server.logins == [(SSL, LOGIN, b"secret\0")]


def test_clients_that_wait_in_vain_for_a_place_are_told_so_and_not_penalized(start, backend, certificate, authority, tmp_path):
    """It is their server that has no time for them within timeouts.handshake."""
    one = backend(MysqlServer(), path=tmp_path / "sql")
    strict = {"limits": {"penalty": {"failures": 1, "for": "1h"}}, "timeouts": {"handshake": "1s"}}
    app = {"queue": {"size": 5, "timeout": "25s"}}
    servers = [{"address": one.address, "max_connections": 1}]
    headgate = start(proxy(servers, certificate, listener={**LISTENER, **strict}, app=app))
    with with_tls(raw_socket(headgate.port()), authority) as first:
        log_in(first, number=2)
        for _ in range(2):
            with raw_socket(headgate.port()) as waiting:
                assert take(waiting, 0)[0] == 0xFF
    ends = headgate.wait_log(2, message="connection ended", reason="no_backend")
    assert {end["detail"] for end in ends} == {"queue_timeout"}
    headgate.wait_metric("headgate_connections_active", 0)
    with raw_socket(headgate.port()) as client:
        log_in(with_tls(client, authority), number=2)
    assert headgate.metric("headgate_sources_penalized_total") == 0


def test_a_login_that_comes_byte_by_byte_is_fitted(on_unix_socket, authority):
    server = MysqlServer()
    headgate = on_unix_socket(server)
    with raw_socket(headgate.port()) as plain:
        client = with_tls(plain, authority)
        for byte in packet(2, head(tls=True) + LOGIN):
            client.sendall(bytes([byte]))
        assert take(client, 3) == b"\x01\x04"
        for byte in packet(4, b"secret\0"):
            client.sendall(bytes([byte]))
        assert take(client, 5) == OK
    assert server.logins == [(0, LOGIN, b"secret\0")]


def test_the_hello_may_come_together_with_the_request(on_unix_socket, authority):
    headgate = on_unix_socket(MysqlServer())
    with raw_socket(headgate.port()) as plain:
        take(plain, 0)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = python_context(authority.file).wrap_bio(incoming, outgoing, server_hostname="app.test")
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        plain.sendall(REQUEST + outgoing.read())
        assert plain.recv(1) == b"\x16"


def test_a_refused_login_is_heard_with_its_number(on_unix_socket, authority):
    def refuse(connection):
        connection.sendall(greeting(offers_tls=False))
        take(connection, 1)
        connection.sendall(packet(2, b"\xff\x15\x04#28000no"))

    headgate = on_unix_socket(refuse)
    with raw_socket(headgate.port()) as plain:
        client = with_tls(plain, authority)
        client.sendall(packet(2, head(tls=True) + LOGIN))
        assert take(client, 3) == b"\xff\x15\x04#28000no"


def test_a_client_without_tls_is_told_what_to_change(on_unix_socket):
    server = MysqlServer()
    headgate = on_unix_socket(server)
    with raw_socket(headgate.port()) as plain:
        take(plain, 0)
        plain.sendall(packet(1, head(tls=False) + LOGIN))
        assert take(plain, 2).startswith(b"\xff" + struct.pack("<H", 3159) + b"#HY000TLS required")
        assert read_to_end(plain) == b""
    line = headgate.wait_log(message="connection ended")[0]
    assert (line["reason"], line["level"]) == ("starttls_not_requested", "warn")
    assert "ssl-mode" in line["detail"]
    assert server.logins == []


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n" * 3, b"\xff" * 5000, packet(0, b"x" * 40)])
def test_garbage_in_place_of_an_answer_ends_the_connection(on_unix_socket, garbage):
    headgate = on_unix_socket(MysqlServer())
    with raw_socket(headgate.port()) as plain:
        take(plain, 0)
        plain.sendall(garbage)
        assert b"Bad handshake" in read_to_end(plain)
    assert headgate.wait_log(message="connection ended")[0]["reason"] == "starttls_malformed"


def test_a_client_that_is_silent_after_the_greeting_ends_at_the_handshakes_timeout(on_unix_socket):
    headgate = on_unix_socket(MysqlServer(), timeouts={"handshake": "1s"})
    with raw_socket(headgate.port()) as plain:
        take(plain, 0)
        read_to_end(plain)
    headgate.wait_metric("headgate_connections_closed_total", reason="handshake_timeout")


def test_a_client_that_leaves_in_the_middle_lets_its_server_go(start, backend, certificate, tmp_path):
    one = backend(MysqlServer(), path=tmp_path / "sql")
    headgate = start(proxy(one.address, certificate, listener=LISTENER))
    for said in (b"", REQUEST[:10], REQUEST, REQUEST + b"\x16\x03\x01"):
        with raw_socket(headgate.port()) as plain:
            take(plain, 0)
            one.wait_open(1)
            plain.sendall(said)
            reset_on_close(plain)
        one.wait_open(0)
    headgate.wait_metric("headgate_connections_active", 0)
    assert headgate.metric("headgate_backend_connections_active") == 0


SERVERS_THAT_FAIL = {
    "error": (lambda c: c.sendall(packet(0, b"\xff\x10\x04Too many connections")), "backend_starttls_failed"),
    "garbage": (lambda c: c.sendall(b"220 mail.test ESMTP\r\n"), "backend_starttls_failed"),
    "oversize": (lambda c: c.sendall(b"\xff\xff\xff\0\x0a" + b"x" * 9000), "backend_starttls_failed"),
    "end": (lambda c: c.sendall(greeting(True)[:20]), "backend_starttls_failed"),
    "injected": (lambda c: c.sendall(greeting(True) + packet(2, OK)) or read_to_end(c), "backend_plaintext"),
    "silence": (read_to_end, "backend_connect_timeout"),
}


@pytest.mark.parametrize("failing", SERVERS_THAT_FAIL)
@pytest.mark.parametrize("side", ["listener", "backend"])
def test_a_server_that_does_not_greet_is_named_and_the_client_is_told(
    start, backend, certificate, asked, failing, side
):
    serve, reason = SERVERS_THAT_FAIL[failing]
    app = {**asked, "connect_timeout": "1s", "connect_attempts": 1}
    make = proxy if side == "listener" else plain_proxy
    config = make(backend(serve).address, *([certificate] if side == "listener" else []), app=app)
    if side == "listener":
        config["listeners"][0]["starttls"] = "mysql"
    headgate = start(config)
    heard = b""
    with contextlib.suppress(ConnectionResetError):  # so early that the client still connects
        with raw_socket(headgate.port()) as plain:
            heard = read_to_end(plain)
    assert heard == (packet(0, b"\xff\x51\x04no server can be reached at the moment") if side == "listener" else b"")
    assert headgate.wait_log(message="connection ended")[0]["reason"] == reason


def test_a_server_without_tls_is_not_asked_for_it(start, backend, certificate, asked):
    headgate = start(plain_proxy(backend(MysqlServer()).address, app=asked))
    with contextlib.suppress(ConnectionResetError):
        with raw_socket(headgate.port()) as plain:
            assert read_to_end(plain) == b""
    line = headgate.wait_log(message="connection ended")[0]
    assert line["reason"] == "backend_starttls_failed" and "no TLS" in line["detail"]


def test_another_server_is_tried_before_the_greeting_and_none_after_it(start, backend, certificate, authority, tmp_path):
    def full(connection):
        connection.sendall(packet(0, b"\xff\x10\x04Too many connections"))
        read_to_end(connection)

    servers = [backend(full, path=tmp_path / "one").address, backend(MysqlServer(), path=tmp_path / "two").address]
    headgate = start(proxy(servers, certificate, listener=LISTENER, workers=1))
    for _ in range(4):
        with raw_socket(headgate.port()) as plain:
            log_in(with_tls(plain, authority), number=2)


def test_a_server_whose_certificate_does_not_verify_gets_no_login(start, backend, certificate, authority, asked):
    server = MysqlServer(certificate)
    asked["tls"]["server_name"] = "other.test"
    headgate = start(proxy(backend(server).address, certificate, listener=LISTENER, app=asked))
    with raw_socket(headgate.port()) as plain:
        client = with_tls(plain, authority)
        assert take(client, 3) == b"\xff\x51\x04#HY000no server can be reached at the moment"
    assert headgate.wait_log(message="connection ended")[0]["reason"] == "backend_handshake_failed"
    assert server.logins == []


def test_a_server_that_breaks_off_in_the_login_ends_the_client(on_unix_socket, authority):
    def break_off(connection):
        connection.sendall(greeting(offers_tls=False))
        take(connection, 1)
        reset_on_close(connection)

    headgate = on_unix_socket(break_off)
    with raw_socket(headgate.port()) as plain:
        client = with_tls(plain, authority)
        client.sendall(packet(2, head(tls=True) + LOGIN))
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            client.recv(1)
    assert headgate.wait_log(message="connection ended")[0]["reason"] == "backend_reset"


def test_health_checks_ask_for_tls(start, backend, certificate, asked):
    checked = []

    def serve(connection):
        connection.sendall(greeting(offers_tls=True))
        take(connection, 1)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(certificate.certificate), str(certificate.key))
        checked.append(context.wrap_socket(connection, server_side=True))

    check = {"type": "tls", "interval": "50ms", "timeout": "2s", "rise": 1, "fall": 1}
    headgate = start(plain_proxy(backend(serve).address, app={**asked, "health_check": check}))
    wait_until(lambda: len(checked) >= 2, "the server is checked again and again")
    assert headgate.metric("headgate_backend_up") == 1


def test_a_mysql_connection_lives_over_a_reload_and_an_upgrade(line, backend, certificate, authority, tmp_path):
    one = backend(MysqlServer(), path=tmp_path / "sql")
    config = proxy(one.address, certificate, listener=LISTENER, drain={"deadline": "5s"})
    running = line(config)
    port = running.headgate.port()
    with raw_socket(port) as plain:
        client = with_tls(plain, authority)
        log_in(client, number=2)
        config["listeners"][0]["timeouts"] = {"idle": "1h"}
        running.headgate.write_config(config)
        assert running.headgate.post("/reload")[0] == 200
        assert int(running.upgrade()["moved"]) == 1
        client.sendall(b"still here")
        assert receive(client, 10) == b"still here"
        with raw_socket(port) as fresh:
            log_in(with_tls(fresh, authority), number=2)


FAULTS = [
    ({"servers": ["127.0.0.1:3306"]}, {}, "needs \"tls: {starttls: mysql}\", or unix sockets"),
    ({"servers": ["127.0.0.1:3306"], "tls": {}}, {}, "needs \"tls: {starttls: mysql}\", or unix sockets"),
    (
        {"servers": ["unix:/run/sql"]},
        {"routes": [{"sni": ["a.test"], "backend": "app"}]},
        "has one backend and no routes",
    ),
    (
        {"servers": ["unix:/run/sql"], "send_proxy": "v2", "send_client_certificate": True},
        {},
        "it is reached before the client shows one",
    ),
]


@pytest.mark.parametrize("app, listener, fault", FAULTS)
def test_what_cannot_work_is_a_fault_that_says_what_does(tmp_path, certificate, app, listener, fault):
    config = proxy("", certificate, listener={**LISTENER, **listener})
    config["backends"]["app"] = app
    file = tmp_path / "headgate.json"
    file.write_text(json.dumps(config, indent=1))
    told = run(headgate_binary(), "check", "--config", file)
    assert told.returncode == 1 and fault in told.stdout + told.stderr, told


def test_explain_says_how_the_client_and_the_server_come_to_tls(tmp_path, certificate, asked):
    config = proxy("127.0.0.1:3306", certificate, listener=LISTENER, app=asked)
    file = tmp_path / "headgate.json"
    file.write_text(json.dumps(config))
    told = run(headgate_binary(), "explain", "--config", file, "--listener", "web").stdout
    assert "starttls: mysql first, with the greeting of a server of app, then TLS" in told, told
    assert "with TLS, asked for in mysql" in told
