"""Backends with host names, and a name server that keeps silent: signals and reloads go on."""

import os
import random
import signal
import socket
import struct
import subprocess
import threading

import pytest
from OpenSSL import SSL

from harness.backends import greeting_then_echo
from harness.config import proxy
from harness.kernel import listening_ports
from harness.tls_client import TlsClient, connect
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


SERVICE = "_app._tcp.test"
A, SRV = 1, 33


def labels(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def target(priority, weight, port, host):
    return struct.pack(">3H", priority, weight, port) + labels(host)


class Zone:
    """Answers for `names` from `records`, by name and type, which a test may change. `silent`: it answers nothing;
    `garbage`: it answers with random bytes behind the question."""

    def __init__(self, names, records):
        self.records = records
        self.silent = self.garbage = False
        self.asked = 0
        self._socket = names.socket
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        self._socket.settimeout(0.1)
        while not self._stopping:
            try:
                query, client = self._socket.recvfrom(512)
            except TimeoutError:
                continue
            self.asked += 1
            if not self.silent:
                self._socket.sendto(self._reply(query), client)

    def _reply(self, query):
        end = query.index(b"\0", 12) + 5
        name, at = [], 12
        while query[at]:
            name.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        (kind,) = struct.unpack(">H", query[end - 4 : end - 2])
        found = self.records.get((".".join(name), kind), [])
        if self.garbage:
            return query[:2] + struct.pack(">5H", 0x8180, 1, 3, 0, 0) + query[12:end] + os.urandom(60)
        reply = query[:2] + struct.pack(">5H", 0x8180, 1, len(found), 0, 0) + query[12:end]
        for data in found:
            reply += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 1, len(data)) + data
        return reply

    def close(self):
        self._stopping = True
        self._thread.join(30)


@pytest.fixture
def zone(names, backend):
    """A service with two targets, of which the first one comes first: 127.0.0.1 with the port of a server that says "1",
    and of one that says "2"."""
    first, second = (backend(greeting_then_echo(name)).port for name in (b"1", b"2"))
    zone = Zone(names, {("a.test", A): [bytes([127, 0, 0, 1])], ("b.test", A): [bytes([127, 0, 0, 1])]})
    zone.first, zone.second = target(10, 1, first, "a.test"), target(20, 1, second, "b.test")
    zone.records[SERVICE, SRV] = [zone.second, zone.first]
    yield zone
    zone.close()


def named(port):
    with connect(port) as client:
        return client.recv_exactly(1)


def follows(port, wanted):
    wait_until(lambda: named(port) == wanted, f"connections go to {wanted}")


def test_a_service_has_the_ports_and_the_order_that_its_records_say(start, certificate, zone):
    headgate = start(proxy(f"srv:{SERVICE}", certificate))
    assert {named(headgate.port()) for _ in range(6)} == {b"1"}
    assert headgate.metric("headgate_backend_up", server=f"srv:{SERVICE}") == 1


def test_connections_follow_the_records_of_a_service_also_after_a_reload(start, certificate, zone):
    headgate = start(proxy(f"srv:{SERVICE}", certificate))
    follows(headgate.port(), b"1")
    zone.records[SERVICE, SRV] = [zone.second]
    follows(headgate.port(), b"2")
    assert headgate.post("/reload")[0] == 200
    assert named(headgate.port()) == b"2"
    zone.records[SERVICE, SRV] = [zone.second, zone.first]
    follows(headgate.port(), b"1")


def test_a_service_with_weights_gets_its_connections_by_them(start, certificate, zone):
    zone.records[SERVICE, SRV] = [zone.first[:2] + b"\0\3" + zone.first[4:], zone.first[:2] + b"\0\1" + zone.second[4:]]
    headgate = start(proxy(f"srv:{SERVICE}", certificate, workers=1))
    assert [named(headgate.port()) for _ in range(8)].count(b"1") == 6


@pytest.mark.parametrize("fault", ["silent", "garbage"])
def test_the_addresses_known_before_stay_while_the_name_server_is_ill(start, certificate, zone, fault):
    headgate = start(proxy(f"srv:{SERVICE}", certificate))
    assert named(headgate.port()) == b"1"
    setattr(zone, fault, True)
    if fault == "garbage":
        headgate.wait_log(message="a backend's name does not resolve", host=f"srv:{SERVICE}")
    else:
        before = zone.asked
        wait_until(lambda: zone.asked > before, "it is asked again")
    assert named(headgate.port()) == b"1"
    assert headgate.get("/healthz")[0] == 200
    setattr(zone, fault, False)
    zone.records[SERVICE, SRV] = [zone.second]
    follows(headgate.port(), b"2")


def test_the_next_priority_is_tried_where_the_first_refuses(start, certificate, zone, refusing):
    zone.records[SERVICE, SRV] = [target(1, 1, int(refusing.rsplit(":", 1)[1]), "a.test"), zone.second]
    headgate = start(proxy(f"srv:{SERVICE}", certificate))
    assert {named(headgate.port()) for _ in range(4)} == {b"2"}


def test_a_service_that_does_not_exist_is_no_crash_and_is_found_later(start, certificate, zone):
    zone.records[SERVICE, SRV] = [target(0, 0, 0, ".")[:7]]
    headgate = start(proxy(f"srv:{SERVICE}", certificate))
    told = headgate.wait_log(message="a backend's name does not resolve")[0]
    assert told["error"].endswith("its SRV records say that there is no such service")
    with TlsClient(headgate.port()) as client:
        client.handshake()
        assert client.wait_transport_end() == "end"
    assert headgate.wait_log(message="connection ended", reason="no_backend")[0]["detail"] == "unresolved"
    assert headgate.metric("headgate_backend_connect_failures_total", reason="resolve") == 1
    zone.records[SERVICE, SRV] = [zone.first]
    headgate.wait_metric("headgate_backend_up", 1)
    wait_until(lambda: reaches(headgate.port()), "the service is there")


def reaches(port):
    with TlsClient(port) as client:
        client.handshake()
        try:
            return client.recv(1) == b"1"
        except SSL.Error:
            return False


def test_a_service_is_resolved_in_the_process_after_an_upgrade(names, zone, line, certificate):
    running = line(proxy(f"srv:{SERVICE}", certificate))
    port = running.headgate.port()
    with connect(port) as before:
        assert before.recv_exactly(1) == b"1"
        running.upgrade()
        before.exchange(b"still here")
        assert named(port) == b"1"
