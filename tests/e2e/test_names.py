"""Backends with host names, and a name server that keeps silent: signals and reloads go on."""

import os
import random
import signal
import socket
import struct
import subprocess

import pytest

from harness.config import proxy
from harness.kernel import listening_ports
from harness.tls_client import TlsClient
from harness.tools import headgate_binary, tool
from harness.waiting import wait_until

_GIVES_UP = "some backends' names are not resolved yet: their connections are refused until they are"


class NameServer:
    """A name server that answers when the test says so."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(30)
        self.address = "127." + ".".join(str(random.randrange(1, 255)) for _ in range(3))
        self.socket.bind((self.address, 53))

    def wait_query(self):
        """Returns the next query and the address of its sender."""
        return self.socket.recvfrom(512)

    def answer(self, query, client):
        """Answers a question for an IPv4 address with 127.0.0.1, and any other question with no address."""
        end = query.index(b"\0", 12) + 5
        asks_ipv4 = query[end - 4 : end - 2] == b"\0\1"
        reply = query[:2] + struct.pack(">5H", 0x8180, 1, int(asks_ipv4), 0, 0) + query[12:end]
        if asks_ipv4:
            reply += b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + bytes([127, 0, 0, 1])
        self.socket.sendto(reply, client)


@pytest.fixture
def names(tmp_path, monkeypatch):
    """The name server of the Headgates that are started from here on."""
    mounts = [tool("unshare"), "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*mounts, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no mounts of one's own here: /etc/resolv.conf cannot be another")
    try:
        server = NameServer()
    except PermissionError:
        pytest.skip("port 53 is not for this user")
    resolv = tmp_path / "resolv.conf"
    resolv.write_text(f"nameserver {server.address}\n")
    script = tmp_path / "with-names"
    inner = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    script.write_text(f"#!/bin/bash\nexec {' '.join(map(str, mounts))} bash -c '{inner}' {resolv} {headgate_binary()} \"$@\"\n")
    script.chmod(0o755)
    monkeypatch.setenv("HEADGATE_BINARY", str(script))
    with server.socket:
        yield server


def reloads(headgate):
    return headgate.metric("headgate_reloads_total", result="ok")


def add_named_backend(headgate, config):
    """Reloads with a backend whose name is never resolved. Waits until the configuration is in force and the name
    server has been asked."""
    named = {"servers": ["silent.test:80"]}
    headgate.write_config({**config, "backends": {**config["backends"], "named": named}})
    headgate.signal(signal.SIGHUP)


def test_sigterm_is_acted_on_while_a_name_server_keeps_silent(start, backend, certificate, names):
    config = proxy(backend().address, certificate)
    headgate = start(config)
    add_named_backend(headgate, config)
    names.wait_query()
    headgate.signal(signal.SIGTERM)
    assert headgate.wait_exit() == 0
    assert _GIVES_UP not in headgate.output


def test_a_reload_is_in_force_and_the_next_one_begins_while_a_name_server_keeps_silent(
    start, backend, certificate, names
):
    config = proxy(backend().address, certificate)
    headgate = start(config)
    add_named_backend(headgate, config)
    names.wait_query()
    wait_until(lambda: reloads(headgate) >= 1, lambda: headgate.output)
    before = reloads(headgate)
    headgate.signal(signal.SIGHUP)
    wait_until(lambda: reloads(headgate) > before, lambda: headgate.output)
    assert _GIVES_UP not in headgate.output


def test_sigterm_ends_a_process_that_waits_for_names_at_its_start(start, certificate, names):
    headgate = start(proxy("silent.test:80", certificate), wait=False)
    names.wait_query()
    headgate.signal(signal.SIGTERM)
    assert headgate.wait_exit() == 0
    assert _GIVES_UP not in headgate.output


def test_the_first_connections_wait_for_the_names_and_are_not_refused(start, backend, certificate, names):
    headgate = start(proxy(f"late.test:{backend().port}", certificate), wait=False)
    query = names.wait_query()
    admin = int(headgate.admin_address.rsplit(":", 1)[1])
    assert headgate.get("/readyz")[0] == 503
    (port,) = {*listening_ports(headgate.child.pid)} - {admin}
    with TlsClient(port) as client:  # in the kernel's queue
        names.answer(*query)
        names.answer(*names.wait_query())
        client.handshake()
        client.exchange(b"by name")
    headgate.wait_ready()


def test_a_process_whose_names_are_never_resolved_serves_after_a_while(start, certificate, names):
    headgate = start(proxy("silent.test:80", certificate), wait=False)
    headgate.wait_log(message=_GIVES_UP, hosts="silent.test")
    headgate.wait_ready()
