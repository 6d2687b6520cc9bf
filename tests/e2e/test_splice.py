"""Where both sides are plain and a direction carries bulk, its bytes stay in the kernel (splice)."""

import hashlib
import os
import resource
import socket

from harness.backends import CHUNK_BYTES, digest_sink, echo, known_digest, known_stream, reset_on_close, source
from harness.config import plain_proxy, proxy
from harness.tls_client import connect, raw_socket
from harness.waiting import wait_until

BULK_BYTES = 24 << 20


def spliced(headgate, direction):
    return headgate.metric("headgate_spliced_bytes_total", direction=direction) or 0


def events(headgate, event):
    return headgate.metric("headgate_splice_events_total", event=event) or 0


def digest_of(client, limit=None):
    """The digest of what comes, to the end, or of so many bytes."""
    digest, size = hashlib.sha256(), 0
    while limit is None or size < limit:
        chunk = client.recv(CHUNK_BYTES if limit is None else min(CHUNK_BYTES, limit - size))
        if not chunk:
            break
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


def pipe_ends_of(pid):
    """How many ends of pipes the process holds."""
    count = 0
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(entry.path).startswith("pipe:")
        except FileNotFoundError:
            pass
    return count


def test_a_download_in_bulk_is_spliced_and_arrives_exactly(start, backend):
    headgate = start(plain_proxy(backend(source(BULK_BYTES)).address))
    with raw_socket(headgate.port()) as client:
        client.sendall(b"go")
        assert digest_of(client) == (BULK_BYTES, known_digest(BULK_BYTES))
    headgate.wait_metric("headgate_connections_closed_total", reason="finished")
    assert headgate.metric("headgate_bytes_total", direction="to_client") == BULK_BYTES
    assert spliced(headgate, "to_client") > BULK_BYTES / 2
    assert spliced(headgate, "from_client") == 0
    assert events(headgate, "to_splice") >= 1
    assert events(headgate, "no_pipe") == 0


def test_an_upload_in_bulk_is_spliced_and_its_answer_comes_back(start, backend):
    headgate = start(plain_proxy(backend(digest_sink).address))
    with raw_socket(headgate.port()) as client:
        for chunk in known_stream(BULK_BYTES):
            client.sendall(chunk)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(CHUNK_BYTES).decode() == known_digest(BULK_BYTES)
    headgate.wait_metric("headgate_connections_closed_total", reason="finished")
    assert headgate.metric("headgate_bytes_total", direction="from_client") == BULK_BYTES
    assert spliced(headgate, "from_client") > BULK_BYTES / 2


def test_small_messages_pass_through_a_buffer_before_and_after_bulk(start, backend):
    headgate = start(plain_proxy(backend(echo).address))
    with raw_socket(headgate.port()) as client:

        def exchange(size):
            client.sendall(bytes(size))
            assert digest_of(client, size)[0] == size

        for _ in range(20):
            exchange(100)
        assert spliced(headgate, "from_client") == 0

        def both_were_spliced():
            exchange(1 << 20)
            return spliced(headgate, "from_client") > 0 and spliced(headgate, "to_client") > 0

        wait_until(both_were_spliced, "both ways are spliced")
        for _ in range(20):
            exchange(100)
        assert events(headgate, "to_buffer") >= 2
        before = spliced(headgate, "from_client"), spliced(headgate, "to_client")
        for _ in range(20):
            exchange(100)
        assert (spliced(headgate, "from_client"), spliced(headgate, "to_client")) == before


def test_a_passthrough_route_splices_and_a_terminated_one_does_not(start, backend, certificate, authority):
    theirs = authority.issue("legacy.test")
    behind = start(proxy(backend(source(BULK_BYTES)).address, theirs))
    config = proxy(backend(source(BULK_BYTES)).address, certificate)
    config["listeners"][0]["routes"] = [{"sni": ["legacy.test"], "passthrough": True, "backend": "legacy"}]
    config["backends"]["legacy"] = {"servers": [behind.address()]}
    headgate = start(config)
    with connect(headgate.port(), sni="app.test") as client:
        assert hashlib.sha256(client.recv_to_end()).hexdigest() == known_digest(BULK_BYTES)
    assert spliced(headgate, "to_client") == 0
    with connect(headgate.port(), sni="legacy.test") as client:
        assert client.certificate() == theirs.x509
        assert hashlib.sha256(client.recv_to_end()).hexdigest() == known_digest(BULK_BYTES)
    wait_until(lambda: spliced(headgate, "to_client") > BULK_BYTES / 2, "the passthrough was spliced")


def test_an_upgrade_takes_what_is_in_a_pipe_along(line, backend):
    """The client does not read, so a pipe holds bytes when the upgrade begins."""
    old = line(plain_proxy(backend(source(BULK_BYTES)).address))
    with raw_socket(old.headgate.port()) as client:
        wait_until(lambda: events(old.headgate, "to_splice") >= 1, "the download is spliced")
        wait_until(lambda: pipe_ends_of(old.pid) > 0, "a pipe")
        old.upgrade()
        assert digest_of(client) == (BULK_BYTES, known_digest(BULK_BYTES))
    old.headgate.wait_metric("headgate_connections_closed_total", reason="finished")


def test_a_reset_of_either_side_ends_a_spliced_connection(start, backend):
    def send_then_reset(connection):
        for chunk in known_stream(BULK_BYTES):
            connection.sendall(chunk)
        reset_on_close(connection)

    headgate = start(plain_proxy(backend(send_then_reset).address))
    with raw_socket(headgate.port()) as client:
        size = 0
        try:
            while chunk := client.recv(CHUNK_BYTES):
                size += len(chunk)
            raise AssertionError(f"an end in order behind {size} bytes")
        except ConnectionResetError:
            assert size > 0
    headgate.wait_metric("headgate_connections_closed_total", reason="backend_reset")
    assert spliced(headgate, "to_client") > 0
    headgate = start(plain_proxy(backend(source(BULK_BYTES)).address))
    with raw_socket(headgate.port()) as client:
        wait_until(lambda: events(headgate, "to_splice") >= 1, "the download is spliced")
        reset_on_close(client)
    headgate.wait_metric("headgate_connections_closed_total", reason="client_reset")


def test_many_slow_clients_hold_a_bounded_number_of_pipes(start, backend):
    size = 6 << 20  # more than the sockets hold
    headgate = start(plain_proxy(backend(source(size)).address, workers=1))
    clients = [raw_socket(headgate.port()) for _ in range(150)]
    try:
        wait_until(lambda: events(headgate, "no_pipe") > 0, "more clients than pipes")
        assert pipe_ends_of(headgate.child.pid) <= 2 * 128 + 2
        for client in clients:
            assert digest_of(client) == (size, known_digest(size))
    finally:
        for client in clients:
            client.close()
    headgate.wait_metric("headgate_connections_closed_total", wanted=len(clients), reason="finished")
    assert pipe_ends_of(headgate.child.pid) <= 2 * 4 + 2


def test_without_descriptors_for_a_pipe_bulk_passes_through_a_buffer(start, backend):
    headgate = start(plain_proxy(backend(source(BULK_BYTES)).address, workers=1))
    before = resource.prlimit(headgate.child.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(headgate.child.pid, resource.RLIMIT_NOFILE, (headgate.descriptors() + 6, before[1]))
    with raw_socket(headgate.port()) as client:
        assert digest_of(client) == (BULK_BYTES, known_digest(BULK_BYTES))
    resource.prlimit(headgate.child.pid, resource.RLIMIT_NOFILE, before)
    headgate.wait_metric("headgate_connections_closed_total", reason="finished")
    assert events(headgate, "no_pipe") > 0
    assert spliced(headgate, "to_client") == 0
