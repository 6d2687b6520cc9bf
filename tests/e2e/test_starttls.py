"""STARTTLS: the protocol's own upgrade first, then TLS, and no bytes added in between."""

import pytest

from harness.backends import greeting_then_echo
from harness.config import proxy
from harness.tls_client import TlsClient, raw_socket, read_to_end

# Protocol: what the client sends, after the greeting if there is one, and the beginning of the answer that starts TLS.
POSTGRES = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
LDAP = bytes.fromhex("301d02010177188016312e332e362e312e342e312e313436362e3230303337")


def smtp(connection):
    assert connection.recv(1000).startswith(b"220")
    connection.sendall(b"EHLO client.test\r\n")
    answer = connection.recv(1000)
    assert b"STARTTLS" in answer
    connection.sendall(b"STARTTLS\r\n")
    assert connection.recv(1000).startswith(b"220")


def imap(connection):
    assert connection.recv(1000).startswith(b"* OK")
    connection.sendall(b"a1 CAPABILITY\r\n")
    assert b"STARTTLS" in connection.recv(1000)
    connection.sendall(b"a2 STARTTLS\r\n")
    assert connection.recv(1000).startswith(b"a2 OK")


def pop3(connection):
    assert connection.recv(1000).startswith(b"+OK")
    connection.sendall(b"STLS\r\n")
    assert connection.recv(1000).startswith(b"+OK")


def postgres(connection):
    connection.sendall(POSTGRES)
    assert connection.recv(1) == b"S"


def ldap(connection):
    connection.sendall(LDAP)
    answer = connection.recv(1000)
    assert answer[0] == 0x30 and b"\x0a\x01\x00" in answer


# The greeting of the backend, in protocols that have one. Headgate greeted the client, so the client never gets this one.
GREETINGS = {"smtp": b"220 ready\r\n", "imap": b"* OK ready\r\n", "pop3": b"+OK ready\r\n"}

DIALOGUES = {"smtp": smtp, "imap": imap, "pop3": pop3, "postgres": postgres, "ldap": ldap}


@pytest.mark.parametrize("protocol", DIALOGUES)
def test_tls_follows_the_protocols_upgrade(start, backend, certificate, protocol):
    one = backend(greeting_then_echo(GREETINGS.get(protocol, b"")))
    headgate = start(proxy(one.address, certificate, listener={"starttls": protocol}))
    connection = raw_socket(headgate.port())
    DIALOGUES[protocol](connection)
    with TlsClient(0, connected=connection).handshake() as client:
        client.exchange(b"inside")


@pytest.mark.parametrize("protocol", DIALOGUES)
def test_tls_without_the_upgrade_is_refused(start, backend, certificate, protocol):
    listener = {"starttls": protocol, "timeouts": {"handshake": "2s"}}
    one = backend()
    headgate = start(proxy(one.address, certificate, listener=listener))
    with TlsClient(headgate.port()) as client:
        client.socket.sendall(client.client_hello())
        client.wait_transport_end()
    assert headgate.metric("headgate_handshakes_total", result="ok") == 0
    assert one.accepted == 0


@pytest.mark.parametrize(
    "protocol, last", [("smtp", b"STARTTLS\r\n"), ("pop3", b"STLS\r\n"), ("imap", b"a STARTTLS\r\n")]
)
def test_plaintext_slipped_in_behind_the_upgrade_never_reaches_tls_or_the_backend(
    start, backend, certificate, protocol, last
):
    one = backend()
    headgate = start(proxy(one.address, certificate, listener={"starttls": protocol}))
    with raw_socket(headgate.port()) as client:
        client.recv(1000)
        client.sendall(last + b"INJECTED\r\n")
        read_to_end(client)
    headgate.wait_metric("headgate_connections_closed_total", reason="starttls_malformed")
    assert one.accepted == 0


def test_plaintext_slipped_in_behind_the_postgres_upgrade_is_refused(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, listener={"starttls": "postgres"}))
    with raw_socket(headgate.port()) as client:
        client.sendall(POSTGRES + b"INJECTED")
        read_to_end(client)
    headgate.wait_metric("headgate_connections_active", 0)
    assert headgate.metric("headgate_handshakes_total", result="ok") == 0


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3", "postgres", "ldap"])
def test_garbage_instead_of_an_upgrade_ends_the_connection(start, backend, certificate, protocol):
    listener = {"starttls": protocol, "timeouts": {"handshake": "2s"}}
    headgate = start(proxy(backend().address, certificate, listener=listener))
    with raw_socket(headgate.port()) as client:
        client.sendall(b"\xff\x00garbage" * 2000)
        read_to_end(client)
    headgate.wait_metric("headgate_connections_active", 0)


STARTUP = bytes.fromhex("000000120003000075736572006162630000")


def end_of(start, backend, certificate, protocol, *said):
    """The log line of a client that says these things and waits for an answer to each."""
    headgate = start(proxy(backend().address, certificate, listener={"starttls": protocol}))
    with raw_socket(headgate.port()) as client:
        if protocol in GREETINGS:
            assert client.recv(1000)
        for words in said[:-1]:
            client.sendall(words)
            assert client.recv(1000)
        client.sendall(said[-1])
        read_to_end(client)
    return headgate.wait_log(message="connection ended")[0]


@pytest.mark.parametrize(
    "protocol, said",
    [
        ("smtp", [b"EHLO probe\r\n", b"QUIT\r\n"]),
        ("imap", [b"a LOGOUT\r\n"]),
        ("pop3", [b"QUIT\r\n"]),
        ("ldap", [b"\x30\x05\x02\x01\x03\x42\x00"]),
    ],
)
def test_a_client_that_ends_the_dialogue_in_order_is_no_failure(start, backend, certificate, protocol, said):
    line = end_of(start, backend, certificate, protocol, *said)
    assert (line["reason"], line["level"]) == ("starttls_ended", "info")


@pytest.mark.parametrize(
    "protocol, said, hint",
    [
        ("postgres", [STARTUP], "sslmode=require"),
        ("smtp", [b"EHLO a\r\n", b"MAIL FROM:<a@b.test>\r\n", b"QUIT\r\n"], "STARTTLS"),
        ("imap", [b"a LOGIN b c\r\n", b"a LOGOUT\r\n"], "STARTTLS"),
        ("pop3", [b"USER a\r\n", b"QUIT\r\n"], "STARTTLS"),
    ],
)
def test_a_client_that_does_not_ask_for_tls_is_named_with_what_to_change(
    start, backend, certificate, protocol, said, hint
):
    line = end_of(start, backend, certificate, protocol, *said)
    assert (line["reason"], line["level"]) == ("starttls_not_requested", "warn")
    assert hint in line["detail"]


def test_a_client_that_begins_tls_without_asking_is_named_with_what_to_change(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, listener={"starttls": "smtp"}))
    with TlsClient(headgate.port()) as client:
        client.socket.sendall(client.client_hello())
        client.wait_transport_end()
    (line,) = headgate.wait_log(message="connection ended")
    assert line["reason"] == "starttls_malformed"
    assert "without asking" in line["detail"]
