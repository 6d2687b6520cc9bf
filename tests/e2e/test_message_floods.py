"""Messages that TLS allows after the handshake beside data: a peer may send some, and not without end."""

import contextlib
import ctypes
import socket
import threading
import time

import pytest
from OpenSSL import SSL
from OpenSSL._util import ffi

from harness.backends import CHUNK_BYTES, endless_source, silent
from harness.client_hello import ClientHello, extension, garbage_psk
from harness.config import plain_proxy, proxy
from harness.protected_records import (
    ALERT,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    HANDSHAKE,
    KEY_UPDATE,
    KEY_UPDATE_ASKED,
    RawClient,
)
from harness.tls_client import TLS12, TLS13, connect, raw_socket, read_to_end
from harness.tools import is_on_awslc
from harness.waiting import DEADLINE_SECONDS

LIBRARY = ctypes.CDLL("libssl.so.3")
VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])
USER_CANCELED = bytes([1, 90])
CLIENT_HELLO = b"\x01\0\0\x29" + b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\xc0\x2f" + b"\x01\0"


def pointer(tls):
    return ctypes.c_void_p(int(ffi.cast("uintptr_t", tls._ssl)))


@pytest.fixture
def relay(start, backend, certificate, record_layer):
    return lambda serve=silent: start(proxy(backend(serve).address, certificate, tls={"record_layer": record_layer}))


def expect_end(headgate, reason, side, detail):
    headgate.wait_metric("headgate_connections_closed_total", reason=reason, side=side)
    headgate.wait_log(reason=reason)
    assert detail in headgate.log_with(reason=reason)[0]["detail"]


# Headgate ends the input by a record that no library takes. AWS-LC finds it too long.
BREAKING_OFF = ("unexpected message", "record overflow")


def test_a_byte_of_data_between_key_updates_buys_no_more_of_them(relay):
    headgate = relay()
    with RawClient(headgate.port()) as client:
        for _ in range(50):
            updates = [client.sealer.key_update() for _ in range(20)]
            client.send_records(*updates, client.sealer.seal(APPLICATION_DATA, b"x"))
        assert client.alert().endswith(BREAKING_OFF)
    expect_end(headgate, "client_flood", "client", "too many KeyUpdates for so little data")
    assert 100 < headgate.metric("headgate_key_updates_total", listener="web", side="client") < 1000


def test_key_updates_in_fragments_count_as_well(relay):
    headgate = relay()
    with RawClient(headgate.port()) as client:
        for _ in range(500):
            first = client.sealer.seal(HANDSHAKE, b"\x18\0")
            client.send_records(first, client.sealer.key_update(b"\0\x01\0"), client.sealer.seal(APPLICATION_DATA, b"x"))
        assert client.alert().endswith(BREAKING_OFF)
    expect_end(headgate, "client_flood", "client", "too many KeyUpdates for so little data")


def test_a_client_may_ask_for_new_keys_with_every_record_that_it_reads(relay):
    """Java's client does so once it has read 2^37 bytes under one key, until the new keys come."""
    headgate = relay(endless_source)
    with connect(headgate.port(), version=TLS13) as client:
        for _ in range(1500):
            client.recv_exactly(16384)
            assert LIBRARY.SSL_key_update(pointer(client.tls), 1) == 1
            client.tls.do_handshake()
            client.send_produced()
        client.recv_exactly(1 << 20)
    headgate.wait_metric("headgate_key_updates_total", 1500, side="client")


def unread_answers(connection):
    """Reads all that comes, and sends as much as the other end takes without a wait."""
    while connection.recv(CHUNK_BYTES):
        with contextlib.suppress(BlockingIOError):
            connection.send(bytes(4 * CHUNK_BYTES), socket.MSG_DONTWAIT)


def narrow_socket(port):
    """A connection of which the kernel keeps little that nobody has read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(DEADLINE_SECONDS)
    connection.connect(("127.0.0.1", port))
    return connection


def test_a_client_that_reads_nothing_is_ended_once_256_kib_of_answers_wait_for_it(start, backend, certificate):
    """Its KeyUpdates are fewer than its data pays for. OpenSSL's layer makes an answer for each of them."""
    if is_on_awslc():
        pytest.skip("AWS-LC makes no second answer before the first one has left")
    config = proxy(backend(unread_answers).address, certificate, tls={"record_layer": "openssl"})
    config["listeners"][0]["timeouts"] = {"shutdown": "1s"}  # until then the client could take the alert
    headgate = start(config)
    with RawClient(headgate.port(), connected=narrow_socket(headgate.port())) as client:
        data = client.sealer.seal(APPLICATION_DATA, bytes(16384))
        until = time.monotonic() + DEADLINE_SECONDS
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while time.monotonic() < until:
                client.socket.sendall(data + b"".join(client.sealer.key_update() for _ in range(3)))
                data = client.sealer.seal(APPLICATION_DATA, bytes(16384))
    expect_end(headgate, "client_flood", "client", "the peer reads nothing, and 256 KiB wait for it")
    # Half of what waits is data. An answer has 27 bytes.
    assert headgate.metric("headgate_key_updates_total", side="client") > 100 * 1024 / 27


@pytest.mark.parametrize("asked", [KEY_UPDATE, KEY_UPDATE_ASKED], ids=["told", "asked"])
def test_each_key_update_of_a_client_is_counted(relay, asked):
    headgate = relay()
    with RawClient(headgate.port()) as client:
        for count in range(1, 4):
            client.send_records(*(client.sealer.key_update(asked) for _ in range(10)))
            client.send_records(client.sealer.seal(APPLICATION_DATA, b"x"))
            headgate.wait_metric("headgate_bytes_total", count, direction="from_client")
            headgate.wait_metric("headgate_key_updates_total", 10 * count, listener="web", side="client")
    assert not headgate.metric("headgate_key_updates_total", side="backend")


def flooding_backend(pair, message):
    """A behaviour that speaks TLS 1.3 and sends `message(pointer)` a thousand times, a byte behind every 20."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate_chain_file(str(pair.certificate))
    context.use_privatekey_file(str(pair.key))

    def serve(connection):
        connection.setblocking(True)
        tls = SSL.Connection(context, connection)
        tls.set_accept_state()
        try:
            tls.do_handshake()
            for number in range(1000):
                message(pointer(tls))
                tls.do_handshake()
                if number % 20 == 19:
                    tls.send(b"x")
            tls.recv(1)
        except SSL.Error:
            pass  # the test looks at Headgate's view

    return serve


@pytest.mark.parametrize(
    "message, detail",
    [
        pytest.param(lambda ssl: LIBRARY.SSL_key_update(ssl, 0), "too many KeyUpdates", id="key_updates"),
        pytest.param(LIBRARY.SSL_new_session_ticket, "too many session tickets", id="tickets"),
    ],
)
def test_a_backend_that_floods_is_ended_too(start, backend, certificate, authority, message, detail):
    address = f"localhost:{backend(flooding_backend(certificate, message)).port}"
    headgate = start(plain_proxy(address, app={"tls": {"ca": str(authority.file)}}))
    with raw_socket(headgate.port()) as client:
        assert len(read_to_end(client)) < 50
    expect_end(headgate, "backend_flood", "backend", detail)
    updates = headgate.metric("headgate_key_updates_total", side="backend")
    assert updates > 90 if "KeyUpdates" in detail else not updates


def test_requests_to_renegotiate_are_refused_and_not_without_end(start, backend, certificate):
    if is_on_awslc():
        pytest.skip("AWS-LC ends a client at its first request")
    headgate = start(proxy(backend().address, certificate))
    with RawClient(headgate.port(), version=TLS12) as client:
        client.send_records(client.sealer.seal(HANDSHAKE, CLIENT_HELLO), client.sealer.seal(APPLICATION_DATA, b"on"))
        client.receive()
        client.send_records(
            *(client.sealer.seal(*one) for _ in range(100) for one in [(HANDSHAKE, CLIENT_HELLO), (APPLICATION_DATA, b"x")])
        )
        assert client.wait_transport_end() in ("end", "reset")
    expect_end(headgate, "client_flood", "client", "too many requests to renegotiate")


DATALESS = {
    "empty_data": (APPLICATION_DATA, b""),
    "warnings": (ALERT, USER_CANCELED),
}


@VERSIONS
@pytest.mark.parametrize("record", DATALESS.values(), ids=DATALESS)
def test_records_without_data_end_the_connection_when_many_come_in_a_row(relay, version, record):
    headgate = relay()
    with RawClient(headgate.port(), version=version) as client:
        for _ in range(3):
            client.send_records(*(client.sealer.seal(*record) for _ in range(4)), client.sealer.seal(APPLICATION_DATA, b"x"))
        headgate.wait_metric("headgate_bytes_total", 3, direction="from_client")
        client.send_records(*(client.sealer.seal(*record) for _ in range(1000)))
        assert client.wait_transport_end() in ("end", "reset")
    headgate.wait_metric("headgate_connections_closed_total", reason="client_protocol_error")


ILLEGAL = {
    "change_cipher_spec": lambda sealer: sealer.seal(CHANGE_CIPHER_SPEC, b"\x01"),
    "plain_change_cipher_spec": lambda _: b"\x14\x03\x03\0\x01\x01",
    "empty_handshake": lambda sealer: b"".join(sealer.seal(HANDSHAKE, b"") for _ in range(40)),
    "empty_alert": lambda sealer: sealer.seal(ALERT, b""),
    "another_finished": lambda sealer: sealer.seal(HANDSHAKE, b"\x14\0\0\x20" + bytes(32)),
    "certificate_request": lambda sealer: sealer.seal(HANDSHAKE, b"\x0d\0\0\x03\0\0\0"),
    "unknown_handshake_message": lambda sealer: sealer.seal(HANDSHAKE, b"\x63\0\0\x01\0"),
    "unknown_record": lambda sealer: sealer.seal(99, b"x"),
}


@VERSIONS
@pytest.mark.parametrize("records", ILLEGAL.values(), ids=ILLEGAL)
def test_records_that_are_not_legal_after_the_handshake_end_the_connection(relay, version, records):
    headgate = relay()
    with RawClient(headgate.port(), version=version) as client:
        client.send_records(records(client.sealer))
        assert client.wait_transport_end() in ("end", "reset")
    headgate.wait_metric("headgate_connections_closed_total", reason="client_protocol_error")


@contextlib.contextmanager
def flooding(connection, records):
    """Sends `records` again and again, as fast as the peer takes them."""
    over = threading.Event()

    def send():
        with contextlib.suppress(OSError):
            while not over.is_set():
                connection.sendall(records)

    sender = threading.Thread(target=send)
    sender.start()
    yield
    over.set()
    connection.close()
    sender.join()


@pytest.mark.parametrize("retried", [True, False], ids=["after_a_retry", "at_once"])
def test_empty_records_of_early_data_hold_no_other_client_up(start, backend, certificate, retried):
    """A server passes over the early data of a ticket that it cannot open, and an empty record uses nothing up of what it
    passes over. So these come without end, and as fast as they are read."""
    early_data = extension(42, b"") + garbage_psk()
    config = proxy(backend().address, certificate, listener={"timeouts": {"handshake": "3s"}}, workers=1)
    headgate = start(config)
    with raw_socket(headgate.port()) as flooder:
        flooder.sendall(ClientHello().tls13(share=not retried, last=early_data))
        assert flooder.recv(5)[0] == HANDSHAKE
        with flooding(flooder, b"\x17\3\3\0\0" * 200_000):
            with connect(headgate.port()) as client:
                client.exchange(b"in")
            reason = "handshake_failed" if is_on_awslc() else "handshake_timeout"  # AWS-LC takes 32 empty records
            headgate.wait_metric("headgate_connections_closed_total", reason=reason)
