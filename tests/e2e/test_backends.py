"""Which server a connection goes to, and what happens when it cannot."""

import threading

import pytest

from harness.backends import echo, greeting_then_echo, saying
from harness.config import proxy
from harness.servers import short_directory
from harness.tls_client import connect


def named(headgate):
    """The one-letter name that the chosen server sends."""
    with connect(headgate.port()) as client:
        return client.recv_exactly(1).decode()


def test_connections_take_turns_between_servers(start, backend, certificate):
    servers = [backend(greeting_then_echo(name)).address for name in (b"a", b"b", b"c")]
    headgate = start(proxy(servers, certificate, workers=1))
    chosen = [named(headgate) for _ in range(9)]
    assert sorted(chosen) == sorted("abc" * 3)
    assert chosen[:3] == chosen[3:6] == chosen[6:]


def test_a_server_of_weight_two_gets_twice_as_many(start, backend, certificate):
    heavy = {"address": backend(greeting_then_echo(b"h")).address, "weight": 2}
    light = {"address": backend(greeting_then_echo(b"l")).address, "weight": 1}
    headgate = start(proxy([heavy, light], certificate, workers=1))
    chosen = [named(headgate) for _ in range(30)]
    assert chosen.count("h") == 20


def test_the_next_server_is_tried_when_one_refuses(start, backend, certificate, refusing):
    headgate = start(proxy([refusing, backend(greeting_then_echo(b"b")).address], certificate))
    assert [named(headgate) for _ in range(4)] == ["b"] * 4
    assert headgate.metric("headgate_backend_connect_failures_total", backend="app", server=refusing) > 0


def test_a_backend_that_is_down_ends_the_client_and_is_counted(start, certificate, refusing):
    headgate = start(proxy(refusing, certificate))
    with connect(headgate.port()) as client:
        assert client.wait_transport_end() == "end"
    headgate.wait_metric("headgate_connections_closed_total", reason="backend_connect_failed", side="backend")


def test_a_server_that_does_not_answer_costs_the_connect_timeout(start, certificate, deaf):
    headgate = start(proxy(deaf, certificate, app={"connect_timeout": "300ms", "connect_attempts": 1}))
    with connect(headgate.port()) as client:
        assert client.wait_transport_end() == "end"
    headgate.wait_metric("headgate_connections_closed_total", reason="backend_connect_timeout")


def test_the_next_server_is_tried_after_the_connect_timeout(start, backend, certificate, deaf):
    servers = [deaf, backend(greeting_then_echo(b"b")).address]
    headgate = start(proxy(servers, certificate, app={"connect_timeout": "300ms"}))
    assert [named(headgate) for _ in range(4)] == ["b"] * 4


def test_a_unix_socket_is_a_backend(start, backend, certificate):
    one = backend(echo, path=short_directory() / "b.sock")
    headgate = start(proxy(one.address, certificate))
    with connect(headgate.port()) as client:
        client.exchange(b"over a path")


def test_a_host_name_is_resolved(start, backend, certificate):
    headgate = start(proxy(f"localhost:{backend().port}", certificate))
    with connect(headgate.port()) as client:
        client.exchange(b"by name")


def test_a_host_name_without_an_address_is_no_crash_and_no_hang(start, certificate):
    headgate = start(proxy("nowhere.invalid:80", certificate))
    with connect(headgate.port()) as client:
        assert client.wait_transport_end() == "end"
    assert headgate.get("/healthz")[0] == 200


def test_a_slow_backend_does_not_hold_up_other_connections(start, backend, certificate):
    patience = threading.Event()

    def hesitant(connection):
        first = connection.recv(1)
        if first == b"s":
            patience.wait(30)
        connection.sendall(first)
        echo(connection)

    headgate = start(proxy(backend(hesitant).address, certificate, workers=1))
    with connect(headgate.port()) as slow, connect(headgate.port()) as quick:
        slow.send(b"s")
        quick.exchange(b"q")
        patience.set()
        assert slow.recv_exactly(1) == b"s"


def test_what_the_backend_says_first_reaches_the_client(start, backend, certificate):
    headgate = start(proxy(backend(saying(b"220 ready\r\n")).address, certificate))
    with connect(headgate.port()) as client:
        assert client.recv_to_end() == b"220 ready\r\n"


@pytest.mark.parametrize("balance", ["round_robin", "least_connections", "random_two", "source_hash"])
def test_every_balance_serves(start, backend, certificate, balance):
    servers = [backend(greeting_then_echo(name)).address for name in (b"a", b"b")]
    headgate = start(proxy(servers, certificate, app={"balance": balance}))
    assert {named(headgate) for _ in range(8)} <= {"a", "b"}


def test_least_connections_goes_to_the_idle_server(start, backend, certificate):
    servers = [backend(greeting_then_echo(name)).address for name in (b"a", b"b")]
    headgate = start(proxy(servers, certificate, app={"balance": "least_connections"}, workers=1))
    with connect(headgate.port()) as first:
        busy = first.recv_exactly(1).decode()
        for _ in range(3):
            assert named(headgate) == {"a": "b", "b": "a"}[busy]
            headgate.wait_metric("headgate_connections_active", 1)


def test_source_hash_keeps_a_source_with_its_server(start, backend, certificate):
    servers = [backend(greeting_then_echo(name)).address for name in (b"a", b"b", b"c")]
    headgate = start(proxy(servers, certificate, app={"balance": "source_hash"}))
    assert len({named(headgate) for _ in range(8)}) == 1


def test_a_full_server_is_passed_over(start, backend, certificate):
    full = {"address": backend(greeting_then_echo(b"f")).address, "max_connections": 1}
    rest = {"address": backend(greeting_then_echo(b"r")).address}
    headgate = start(proxy([full, rest], certificate, workers=1))
    with connect(headgate.port()) as first, connect(headgate.port()) as second:
        held = {first.recv_exactly(1), second.recv_exactly(1)}
        assert held == {b"f", b"r"}
        assert [named(headgate) for _ in range(3)] == ["r"] * 3
