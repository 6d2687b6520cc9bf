"""Much data, many connections: the bytes are exact, memory is bounded, and no client starves."""

import hashlib
import socket
import ssl
import threading
import time

import pytest

from harness.backends import ManyEcho, digest_sink, endless_source, known_digest, known_stream, silent, source
from harness.config import proxy
from harness.tls_client import python_context, python_tls
from harness.waiting import wait_until

MIB = 1 << 20

SIZES = pytest.mark.parametrize(
    "size",
    [64 * MIB, pytest.param(1024 * MIB, marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
    ids=["64MiB", "1GiB"],
)


def slow_reader(port):
    """A client of the endless source that takes almost nothing, and has a small window."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", port))
    client = python_context().wrap_socket(connection)
    client.recv(1)
    return client


class _SlowPair:
    """A reader and a writer that go on slowly during a test, for as long as the `with` lasts."""

    def __init__(self, reader_port, writer_port):
        self._ports = reader_port, writer_port
        self._done = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._write)]

    def _read(self):
        with slow_reader(self._ports[0]) as client:
            while not self._done.wait(0.02):
                client.recv(100)

    def _write(self):
        with python_tls(self._ports[1]) as client:
            while not self._done.wait(0.02):
                client.sendall(b"drop")

    def __enter__(self):
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_):
        self._done.set()
        for thread in self._threads:
            thread.join(30)


def beside(config, **backends):
    """Adds to `config` a listener and a backend of each name, with the first listener's certificates."""
    first = config["listeners"][0]
    for name, address in backends.items():
        config["listeners"].append({**first, "name": name, "backend": name})
        config["backends"][name] = {"servers": [address]}
    return config


@SIZES
def test_an_upload_arrives_exactly_while_others_are_slow(start, backend, certificate, record_layer, size):
    config = proxy(backend(digest_sink).address, certificate, tls={"record_layer": record_layer})
    headgate = start(beside(config, endless=backend(endless_source).address, sink=backend(silent).address))
    with _SlowPair(headgate.port("endless"), headgate.port("sink")), python_tls(headgate.port()) as client:
        for chunk in known_stream(size):
            client.sendall(chunk)
        # Python's TLS cannot half-close: unwrap() would wait for the end of the answer. So the test sends the end
        # itself.
        digest = _answer_after_close_notify(client)
    assert digest == known_digest(size)


def _answer_after_close_notify(client):
    """Returns the bytes that the server sends after our close_notify. Python raises an exception at their end, because
    our end has been sent."""
    client.setblocking(False)
    try:
        client.unwrap()
    except ssl.SSLWantReadError:
        pass
    client.settimeout(60)
    answer = b""
    try:
        while chunk := client.recv(4096):
            answer += chunk
    except ssl.SSLZeroReturnError:
        pass
    return answer.decode()


@SIZES
def test_a_download_arrives_exactly_while_others_are_slow(start, backend, certificate, record_layer, size):
    config = proxy(backend(source(size)).address, certificate, tls={"record_layer": record_layer})
    headgate = start(beside(config, endless=backend(endless_source).address, sink=backend(silent).address))
    digest = hashlib.sha256()
    with _SlowPair(headgate.port("endless"), headgate.port("sink")), python_tls(headgate.port()) as client:
        while chunk := client.recv(256 * 1024):
            digest.update(chunk)
    assert digest.hexdigest() == known_digest(size)


@pytest.mark.memory
def test_two_hundred_slow_readers_of_an_endless_source_cost_bounded_memory(start, backend, certificate, record_layer):
    """A connection keeps at most one write of 128 KiB, with its record overhead."""
    tls = {"record_layer": record_layer}
    headgate = start(proxy(backend(endless_source).address, certificate, tls=tls))
    with slow_reader(headgate.port()):
        pass
    before = headgate.rss_bytes()
    readers = [slow_reader(headgate.port()) for _ in range(200)]
    try:
        wait_for_standstill(headgate)
        filled = headgate.rss_bytes()
        assert filled - before < 200 * 160 * 1024 + 16 * MIB
        for reader in readers:
            for _ in range(16):
                reader.recv(16384)
        wait_for_standstill(headgate)
        assert headgate.rss_bytes() - filled < 8 * MIB
    finally:
        for reader in readers:
            reader.close()


def wait_for_standstill(headgate):
    """Waits until no byte has moved for a while: all readers' buffers are full."""
    seen = {"bytes": -1, "since": time.monotonic()}

    def still():
        now = headgate.metric("headgate_bytes_total")
        if now != seen["bytes"]:
            seen.update(bytes=now, since=time.monotonic())
        return time.monotonic() - seen["since"] > 0.5

    wait_until(still, "the bytes stand still")


@pytest.mark.timeout(400)
def test_five_thousand_connections_are_held_open_at_once_and_all_live(start, certificate):
    count = 5000
    with ManyEcho() as echo:
        headgate = start(proxy(echo.address, certificate))
        context = python_context()
        clients = []
        try:
            for _ in range(count):
                clients.append(python_tls(headgate.port(), context=context))
            headgate.wait_metric("headgate_connections_active", count, listener="web")
            for number, client in enumerate(clients):
                client.sendall(b"%05d" % number)
            for number, client in enumerate(clients):
                assert client.recv(5) == b"%05d" % number
        finally:
            for client in clients:
                client.close()
        headgate.wait_metric("headgate_connections_active", 0, listener="web")


def test_a_bulk_download_does_not_hold_up_small_exchanges(start, backend, certificate, record_layer):
    config = proxy(backend().address, certificate, tls={"record_layer": record_layer}, workers=1)
    headgate = start(beside(config, endless=backend(endless_source).address))
    done = threading.Event()

    def drain():
        with python_tls(headgate.port("endless")) as client:
            while not done.is_set():
                client.recv(256 * 1024)

    bulk = threading.Thread(target=drain, daemon=True)
    bulk.start()
    try:
        with python_tls(headgate.port()) as client:
            for _ in range(100):
                client.sendall(b"ping")
                assert client.recv(4) == b"ping"
    finally:
        done.set()
        bulk.join(30)
