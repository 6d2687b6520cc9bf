"""Draining a listener, a backend or one client identity, while the other connections go on."""

import contextlib
import time

import pytest

from harness.config import plain_proxy, proxy
from harness.tls_client import connect, raw_socket
from harness.waiting import wait_until


def open_clients(port, count, **options):
    clients = [connect(port, **options) for _ in range(count)]
    for client in clients:
        client.exchange(b"open")
    return clients


def close_all(clients):
    for client in clients:
        client.close()


def two_backends(backend, certificate):
    """Listener web to backend app, listener other to backend second."""
    config = proxy(backend().address, certificate)
    config["listeners"].append({**config["listeners"][0], "name": "other", "backend": "second"})
    config["backends"]["second"] = {"servers": [backend().address]}
    return config


@pytest.mark.parametrize("part", ["listener=other", "backend=second"])
def test_a_part_drains_and_the_rest_goes_on(start, backend, certificate, part):
    headgate = start(two_backends(backend, certificate))
    staying = open_clients(headgate.port("web"), 2)
    going = open_clients(headgate.port("other"), 3)
    status, text = headgate.post(f"/drain?{part}&deadline=2s")
    assert status == 200 and "3 connections" in text
    assert headgate.metric("headgate_draining") == 0 and headgate.get("/readyz")[0] == 200
    for client in going:
        client.wait_transport_end()
    headgate.wait_metric("headgate_connections_closed_total", 3, reason="drained", listener="other")
    headgate.wait_metric("headgate_drain_connections_remaining", 0)
    for client in staying:
        client.exchange(b"goes on")
    close_all(staying + going)


def test_one_client_identity_drains(start, backend, authority, certificate):
    client_auth = {"mode": "required", "ca": str(authority.file)}
    headgate = start(proxy(backend().address, certificate, tls={"client_auth": client_auth}))
    first, second = (authority.issue(client=True, uris=[f"spiffe://prod/{name}"]) for name in ("a", "b"))
    going = open_clients(headgate.port(), 2, certificate=first)
    (staying,) = open_clients(headgate.port(), 1, certificate=second)
    assert headgate.post("/drain?peer=spiffe://prod/a&deadline=1s")[0] == 200
    for client in going:
        client.wait_transport_end()
    staying.exchange(b"goes on")
    close_all(going + [staying])


def test_quiet_connections_end_one_after_the_other_and_busy_ones_at_the_deadline(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, workers=1))
    quiet = open_clients(headgate.port(), 12)
    (busy,) = open_clients(headgate.port(), 1)
    began = time.monotonic()
    assert headgate.post("/drain?listener=web&deadline=4s")[0] == 200
    seen = set()
    with contextlib.suppress(Exception):
        while True:
            busy.exchange(b"busy")
            seen.add(headgate.metric("headgate_drain_connections_remaining"))
    assert time.monotonic() - began > 3.5
    assert len(seen) >= 6, f"they ended together: {seen}"
    close_all(quiet + [busy])


def test_progress_is_told_in_metrics_and_status(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate))
    (client,) = open_clients(headgate.port(), 1)
    assert headgate.post("/drain?listener=web&deadline=300s")[0] == 200
    client.exchange(b"x" * 1000)
    headgate.wait_metric("headgate_drain_bytes_total", 2000)
    assert headgate.metric("headgate_drain_connections_remaining") == 1
    assert headgate.metric("headgate_drain_oldest_connection_seconds") > 0
    (told,) = headgate.status()["drains"]
    assert (told["what"], told["at_start"], told["remaining"], told["bytes"]) == ("listener web", 1, 1, 2000)
    client.close()
    wait_until(lambda: headgate.status()["drains"] == [], "the drain is over")
    assert headgate.metric("headgate_drain_bytes_total") == 2000


def test_those_that_come_after_a_backend_began_to_drain_are_not_touched(start, backend):
    headgate = start(plain_proxy(backend().address))
    (before,) = [raw_socket(headgate.port())]
    before.sendall(b"before")
    assert before.recv(16) == b"before"
    assert headgate.post("/drain?backend=app&deadline=0s")[0] == 200
    with raw_socket(headgate.port()) as after:
        after.sendall(b"after")
        assert after.recv(16) == b"after"
        with pytest.raises(ConnectionResetError):
            before.recv(16)
        headgate.wait_metric("headgate_drain_connections_remaining", 0)
        after.sendall(b"still")
        assert after.recv(16) == b"still"
    before.close()


@pytest.mark.parametrize(
    ("query", "status"),
    [("backend=nobody", 404), ("listener=nobody", 404), ("deadline=soon", 400), ("backend=app&peer=x", 400)],
)
def test_a_drain_of_what_is_not_there_changes_nothing(echo_proxy, query, status):
    with connect(echo_proxy.port()) as client:
        assert echo_proxy.post("/drain?" + query)[0] == status
        client.exchange(b"goes on")
    assert echo_proxy.get("/readyz")[0] == 200


def test_a_drained_listener_is_shown_as_such_until_a_reload_opens_it_again(start, backend, certificate):
    headgate = start(two_backends(backend, certificate))

    def draining():
        return {one["name"]: one["draining"] for one in headgate.status()["listeners"]}

    assert headgate.post("/drain?listener=other")[0] == 200
    wait_until(lambda: draining() == {"web": False, "other": True}, "the listener is shown as draining")
    assert headgate.post("/reload")[0] == 200
    wait_until(lambda: draining() == {"web": False, "other": False}, "the listener is open again")
    with connect(headgate.port("other", 1)) as client:
        client.exchange(b"open again")
