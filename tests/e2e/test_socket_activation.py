"""Sockets that systemd makes and hands over: the port outlives the process."""

import contextlib
import json
import socket

import pytest

from harness.config import proxy
from harness.tls_client import TlsClient, connect, raw_socket
from harness.tools import headgate_binary
from harness.waiting import wait_until


@pytest.fixture
def activated(tmp_path, monkeypatch):
    """A listening socket as systemd makes it; Headgates that are started from here on get it."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    script = tmp_path / "as-systemd"
    script.write_text(
        "#!/bin/bash\n"
        f'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web exec {headgate_binary()} "$@" 3<&{listening.fileno()}\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("HEADGATE_BINARY", str(script))
    with listening:
        yield listening


def config(activated, backend, certificate, workers):
    address = "127.0.0.1:%d" % activated.getsockname()[1]
    return proxy(backend().address, certificate, listener={"bind": address}, workers=workers)


def test_all_workers_accept_from_the_one_socket_of_systemd(start, backend, certificate, activated):
    headgate = start(config(activated, backend, certificate, 3), pass_fds=[activated.fileno()])
    assert headgate.port() == activated.getsockname()[1]
    seen = set()
    with contextlib.ExitStack() as held:

        def another_worker_accepts():
            client = held.enter_context(connect(headgate.port()))
            client.exchange(b"hello")
            seen.update(one["worker"] for one in json.loads(headgate.get("/connections.json?limit=1000")[1])["connections"])
            return len(seen) == 3

        wait_until(another_worker_accepts, lambda: f"only workers {seen} accept")


def test_the_admin_endpoint_may_be_on_a_socket_of_systemd(start, backend, certificate, activated):
    address = "127.0.0.1:%d" % activated.getsockname()[1]
    headgate = start(proxy(backend().address, certificate, admin={"bind": address}), pass_fds=[activated.fileno()])
    assert headgate.admin_address == address
    assert headgate.get("/readyz")[0] == 200
    headgate.stop()
    activated.setblocking(False)
    with socket.create_connection(activated.getsockname()):  # systemd still has it
        wait_until(lambda: activated.accept()[0], "the socket is open")


def test_the_number_of_workers_may_grow_under_the_socket_of_systemd(start, backend, certificate, activated):
    headgate = start(config(activated, backend, certificate, 1), pass_fds=[activated.fileno()])
    headgate.write_config(config(activated, backend, certificate, 2))
    assert headgate.post("/reload")[0] == 200
    with connect(headgate.port()) as client:
        client.exchange(b"hello")
    assert len(headgate.status()["workers"]) == 2


def test_the_socket_outlives_the_process(start, backend, certificate, activated):
    first = start(config(activated, backend, certificate, 2), pass_fds=[activated.fileno()])
    assert first.stop() == 0
    with TlsClient(activated.getsockname()[1]) as waiting:  # in the kernel's queue
        start(config(activated, backend, certificate, 2), pass_fds=[activated.fileno()])
        waiting.handshake()
        waiting.exchange(b"waited for it")


def defers(listening):
    """Whether the kernel keeps a connection to itself until the client's first bytes are there."""
    return listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT) > 0


def test_a_reload_that_lets_the_server_speak_first_no_longer_waits_for_the_client(start, backend, certificate, activated):
    before = config(activated, backend, certificate, 2)
    headgate = start(before, pass_fds=[activated.fileno()])
    headgate.wait_log(message="listening", listener="web")
    assert defers(activated)
    headgate.write_config({**before, "listeners": [{**before["listeners"][0], "starttls": "smtp"}]})
    assert headgate.post("/reload")[0] == 200
    assert not defers(activated)
    with raw_socket(headgate.port()) as client:
        assert client.recv(1000).startswith(b"220")
    headgate.write_config(before)
    assert headgate.post("/reload")[0] == 200
    assert defers(activated)
