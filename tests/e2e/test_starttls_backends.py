"""STARTTLS towards backends: Headgate asks a server for TLS in the server's own protocol."""

import contextlib
import json
import ssl

import pytest

from harness.backends import echo, reset_on_close
from harness.config import plain_proxy, proxy
from harness.tls_client import connect, raw_socket, read_to_end
from harness.tools import headgate_binary, run
from harness.waiting import wait_until

POSTGRES = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
LDAP = bytes.fromhex("301d02010177188016312e332e362e312e342e312e313436362e3230303337")
LDAP_DONE = bytes.fromhex("300c02010178070a010004000400")

# Protocol: pairs of what the server hears and what it answers. b"": it speaks first.
SCRIPTS = {
    "postgres": [(POSTGRES, b"S")],
    "smtp": [
        (b"", b"220-mail.test\r\n220 ESMTP ready\r\n"),
        (b"EHLO headgate\r\n", b"250-mail.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n"),
        (b"STARTTLS\r\n", b"220 go\r\n"),
    ],
    "imap": [(b"", b"* OK [CAPABILITY STARTTLS LOGINDISABLED] ready\r\n"), (b"s STARTTLS\r\n", b"s OK go\r\n")],
    "pop3": [(b"", b"+OK <1.2@mail.test>\r\n"), (b"STLS\r\n", b"+OK go\r\n")],
    "ldap": [(LDAP, LDAP_DONE)],
}
# What a client that nobody has greeted hears first.
WELCOMES = {"smtp": b"220 headgate ESMTP\r\n", "imap": b"* OK headgate ready\r\n", "pop3": b"+OK headgate ready\r\n"}

PROTOCOLS = pytest.mark.parametrize("protocol", SCRIPTS)


def hear(connection, words):
    """Reads exactly `words`."""
    heard = b""
    while len(heard) < len(words):
        piece = connection.recv(len(words) - len(heard))
        if not piece:
            raise ConnectionError(f"the peer ended behind {heard!r}")
        heard += piece
    assert heard == words


def converse(connection, protocol, behind=b""):
    """The server's side of the dialogue; `behind` comes together with its go-ahead."""
    script = SCRIPTS[protocol]
    for heard, answer in script:
        hear(connection, heard)
        connection.sendall(answer + (behind if answer is script[-1][1] else b""))


@pytest.fixture
def starttls_backend(backend, certificate):
    """Starts a server that goes on to TLS in `protocol`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(certificate.certificate), str(certificate.key))

    def start_one(protocol, serve=echo):
        def wrap(connection):
            converse(connection, protocol)
            return context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False)

        return backend(serve, wrap=wrap)

    return start_one


@pytest.fixture
def asking(authority):
    """The settings of a backend that is asked for TLS in `protocol`."""

    def settings(protocol, **others):
        tls = {"ca": str(authority.file), "server_name": "localhost", "starttls": protocol}
        return {"tls": tls, **others}

    return settings


def talk(client, protocol):
    """What a client without TLS hears and says."""
    hear(client, WELCOMES.get(protocol, b""))
    client.sendall(b"as long as the head of a message")
    hear(client, b"as long as the head of a message")


@PROTOCOLS
def test_a_plaintext_client_reaches_a_server_that_wants_starttls(start, starttls_backend, asking, protocol):
    one = starttls_backend(protocol)
    headgate = start(plain_proxy(one.address, app=asking(protocol)))
    with raw_socket(headgate.port()) as client:
        talk(client, protocol)
    assert not one.failures


@PROTOCOLS
def test_a_client_that_began_tls_by_starttls_is_greeted_once(
    start, starttls_backend, asking, certificate, protocol
):
    from test_starttls import DIALOGUES  # the client's side of the same protocols
    from harness.tls_client import TlsClient

    headgate = start(
        proxy(
            starttls_backend(protocol).address, certificate, listener={"starttls": protocol}, app=asking(protocol)
        )
    )
    connection = raw_socket(headgate.port())
    DIALOGUES[protocol](connection)
    with TlsClient(0, connected=connection).handshake() as client:
        client.exchange(b"inside")


def test_a_client_of_implicit_tls_reaches_a_server_that_wants_starttls(start, starttls_backend, asking, certificate):
    headgate = start(proxy(starttls_backend("imap").address, certificate, app=asking("imap")))
    with connect(headgate.port()) as client:
        assert client.recv_exactly(len(WELCOMES["imap"])) == WELCOMES["imap"]
        client.exchange(b"inside")


def end_of(start, backend, asking, protocol, serve, **app):
    """The log line of a client whose server behaves as `serve` before TLS."""
    headgate = start(plain_proxy(backend(serve).address, app=asking(protocol, **app)))
    with contextlib.suppress(ConnectionResetError):  # so early that the client still connects
        with raw_socket(headgate.port()) as client:
            assert read_to_end(client) == b""
    return headgate, headgate.wait_log(message="connection ended")[0]


@PROTOCOLS
def test_plaintext_behind_the_servers_go_ahead_is_refused_by_its_name(start, backend, asking, protocol):
    def inject(connection):
        converse(connection, protocol, behind=b"INJECTED\r\n")
        read_to_end(connection)

    headgate, line = end_of(start, backend, asking, protocol, inject)
    assert (line["reason"], line["level"]) == ("backend_plaintext", "warn")
    assert "plaintext" in line["detail"]
    assert headgate.metric("headgate_backend_connect_failures_total", reason="plaintext") == 1
    headgate.wait_metric("headgate_connections_closed_total", reason="backend_plaintext", side="backend")


REFUSALS = {
    "postgres": b"N",
    "smtp": b"554 not you\r\n",
    "imap": b"* BYE not you\r\n",
    "pop3": b"-ERR not you\r\n",
    "ldap": LDAP_DONE.replace(b"\x0a\x01\x00", b"\x0a\x01\x34"),
}


@PROTOCOLS
def test_a_server_that_refuses_tls_is_named(start, backend, asking, protocol):
    def refuse(connection):
        if SCRIPTS[protocol][0][0]:
            connection.recv(100)
        connection.sendall(REFUSALS[protocol])
        read_to_end(connection)

    headgate, line = end_of(start, backend, asking, protocol, refuse)
    assert line["reason"] == "backend_starttls_failed"
    assert headgate.metric("headgate_backend_connect_failures_total", reason="starttls") == 1


def test_a_mail_server_that_does_not_offer_starttls_gets_no_mail_in_plaintext(start, backend, asking):
    heard = bytearray()

    def strip(connection):
        connection.sendall(b"220 mail.test\r\n")
        heard.extend(connection.recv(100))
        connection.sendall(b"250-mail.test\r\n250 PIPELINING\r\n")
        while piece := connection.recv(100):
            heard.extend(piece)

    _, line = end_of(start, backend, asking, "smtp", strip, connect_attempts=1)
    assert "does not offer STARTTLS" in line["detail"]
    assert bytes(heard) == b"EHLO headgate\r\n"


@PROTOCOLS
@pytest.mark.parametrize("garbage", [b"\xff\x00garbage", b"\x16\x03\x01\x00\x05garba", b"x" * 100_000])
def test_garbage_from_the_server_is_its_own_end(start, backend, asking, protocol, garbage):
    def babble(connection):
        connection.sendall(garbage)
        read_to_end(connection)

    headgate, line = end_of(start, backend, asking, protocol, babble)
    assert line["reason"] in ("backend_starttls_failed", "backend_connect_timeout")
    if garbage == b"\xff\x00garbage" and protocol in ("postgres", "ldap"):
        assert line["reason"] == "backend_starttls_failed"
    assert headgate.get("/healthz")[0] == 200


@PROTOCOLS
def test_a_reset_in_the_middle_of_the_dialogue_is_a_failed_connect(start, backend, asking, protocol):
    def break_off(connection):
        if SCRIPTS[protocol][0][0]:
            connection.recv(100)
        else:
            connection.sendall(SCRIPTS[protocol][0][1])
            connection.recv(100)
        reset_on_close(connection)

    _, line = end_of(start, backend, asking, protocol, break_off)
    assert line["reason"] == "backend_connect_failed"


@PROTOCOLS
def test_a_silent_server_ends_at_connect_timeout_and_holds_up_nobody(start, backend, asking, protocol):
    quiet = backend(read_to_end)
    config = plain_proxy(quiet.address, app=asking(protocol, connect_timeout="1s", connect_attempts=1), workers=1)
    one = backend(echo)
    config["listeners"].append({"name": "other", "bind": "127.0.0.1:0", "backend": "echo"})
    config["backends"]["echo"] = {"servers": [one.address]}
    headgate = start(config)
    with raw_socket(headgate.port()) as waiting, raw_socket(headgate.port("other")) as served:
        quiet.wait_open(1)
        served.sendall(b"not held up")
        hear(served, b"not held up")
        with pytest.raises(ConnectionResetError):
            waiting.recv(1)
    assert headgate.wait_log(message="connection ended", listener="web")[0]["reason"] == "backend_connect_timeout"


def test_another_server_is_tried_when_one_refuses(start, backend, starttls_backend, asking):
    def refuse(connection):
        connection.recv(8)
        connection.sendall(b"N")
        read_to_end(connection)

    servers = [backend(refuse).address, starttls_backend("postgres").address]
    headgate = start(plain_proxy(servers, app=asking("postgres"), workers=1))
    for _ in range(4):
        with raw_socket(headgate.port()) as client:
            talk(client, "postgres")


def test_a_server_whose_certificate_does_not_verify_gets_no_byte_of_the_client(
    start, starttls_backend, asking, authority
):
    app = asking("postgres")
    app["tls"]["server_name"] = "other.test"
    headgate = start(plain_proxy(starttls_backend("postgres").address, app=app))
    with raw_socket(headgate.port()) as client:
        with pytest.raises(ConnectionResetError):
            client.sendall(b"a password")
            client.recv(1)
    assert headgate.wait_log(message="connection ended")[0]["reason"] == "backend_handshake_failed"


@PROTOCOLS
def test_health_checks_ask_for_tls_too(start, backend, starttls_backend, asking, certificate, protocol):
    check = {"type": "tls", "interval": "50ms", "timeout": "2s", "rise": 1, "fall": 1}
    well = starttls_backend(protocol)
    headgate = start(plain_proxy(well.address, app=asking(protocol, health_check=check)))
    wait_until(lambda: well.accepted >= 3, "the server is checked again and again")
    assert headgate.metric("headgate_backend_up") == 1
    assert not [line for line in headgate.log if line["message"] == "server is down"]
    with raw_socket(headgate.port()) as client:
        talk(client, protocol)


def test_a_health_check_says_why_a_server_without_starttls_is_down(start, backend, asking):
    def refuse(connection):
        connection.recv(8)
        connection.sendall(b"N")
        read_to_end(connection)

    check = {"type": "tls", "interval": "50ms", "fall": 1}
    headgate = start(plain_proxy(backend(refuse).address, app=asking("postgres", health_check=check)))
    assert "the server has no TLS" in headgate.wait_log(message="server is down")[0]["why"]
    headgate.wait_metric("headgate_backend_up", 0)


def test_starttls_towards_backends_goes_on_over_reloads(start, starttls_backend, asking):
    one, other = starttls_backend("imap"), starttls_backend("pop3")
    config = plain_proxy(one.address, app=asking("imap"))
    headgate = start(config)
    with raw_socket(headgate.port()) as before:
        talk(before, "imap")
        config["backends"]["app"] = {"servers": [other.address], **asking("pop3")}
        headgate.write_config(config)
        assert headgate.post("/reload")[0] == 200
        with raw_socket(headgate.port()) as after:
            talk(after, "pop3")
        before.sendall(b"still here")
        hear(before, b"still here")


def test_starttls_towards_backends_goes_on_over_an_upgrade(line, starttls_backend, asking):
    """A connection with TLS to its server stays with the old process, which ends it in order when it is at rest."""
    running = line(plain_proxy(starttls_backend("smtp").address, app=asking("smtp"), drain={"deadline": "5s"}))
    port = running.headgate.port()
    with raw_socket(port) as before:
        talk(before, "smtp")
        running.upgrade()
        with raw_socket(port) as after:
            talk(after, "smtp")
        assert read_to_end(before) == b""


def test_explain_says_in_which_protocol_the_backend_is_asked_for_tls(tmp_path, asking):
    config = plain_proxy("127.0.0.1:25", app=asking("smtp"))
    file = tmp_path / "headgate.json"
    file.write_text(json.dumps(config))
    told = run(headgate_binary(), "explain", "--config", file, "--listener", "web")
    assert "with TLS, asked for in smtp" in told.stdout, told.stdout + told.stderr


def test_a_backend_that_speaks_another_protocol_than_the_clients_is_a_fault(tmp_path, asking, certificate):
    config = proxy("127.0.0.1:25", certificate, listener={"starttls": "smtp"}, app=asking("imap"))
    file = tmp_path / "headgate.json"
    file.write_text(json.dumps(config, indent=1))
    told = run(headgate_binary(), "check", "--config", file)
    assert told.returncode == 1
    assert 'listeners[0].backend: backend "app" is asked for TLS in imap' in told.stdout + told.stderr
