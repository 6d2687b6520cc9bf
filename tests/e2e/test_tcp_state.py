"""What TCP knows of live connections: in /connections.json, and as histograms of some connections each second."""

import contextlib
import json
import socket
import time

from harness.backends import ManyEcho
from harness.config import plain_proxy
from harness.namespaces import ROUTER
from harness.tls_client import raw_socket
from harness.waiting import DEADLINE_SECONDS, wait_until


FIELDS = ("client_rtt_seconds", "client_retransmits", "backend_rtt_seconds", "backend_retransmits")


def shown(headgate):
    """The fields about TCP of the only live connection."""
    (one,) = json.loads(headgate.get("/connections.json")[1])["connections"]
    return {field: one[field] for field in FIELDS}


def looked_at(headgate, side="client"):
    return headgate.metric("headgate_tcp_retransmits_count", listener="web", side=side)


def test_a_live_connection_has_round_trip_times_and_retransmits_after_a_reload_and_an_upgrade_too(line, backend):
    config = plain_proxy(backend().address)
    running = line(config)
    headgate = running.headgate
    with raw_socket(headgate.port()) as client:
        for step in ("start", "reload", "upgrade"):
            if step == "reload":
                headgate.write_config({**config, "drain": {"deadline": "2s"}})
                assert headgate.post("/reload")[0] == 200
            if step == "upgrade":
                running.upgrade()
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            state = shown(headgate)
            assert 0 < state["client_rtt_seconds"] < 1 and 0 < state["backend_rtt_seconds"] < 1, step
            assert state["client_retransmits"] == 0, step
            before = looked_at(headgate)
            wait_until(lambda before=before: looked_at(headgate) > before, "the connection is looked at")
            for side in ("client", "backend"):
                assert headgate.metric("headgate_tcp_rtt_seconds_count", listener="web", side=side) > 0, step


def test_segments_that_are_sent_again_are_counted(network, backend, start):
    headgate = start(plain_proxy(backend().address, listener={"bind": f"{ROUTER}:8080"}))
    with network.client.entered():
        client = socket.create_connection((ROUTER, 8080), timeout=DEADLINE_SECONDS)
    with client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        network.nft(
            "table inet lossy {\nchain arrivals {\ntype filter hook prerouting priority 0\n"
            f"ip saddr {ROUTER} drop\n}}\n}}\n",
            at=network.client,
        )
        client.sendall(b"y")
        wait_until(lambda: shown(headgate)["client_retransmits"] > 0, "the answer is sent again")
        assert shown(headgate)["backend_retransmits"] == 0
        network.nft("delete table inet lossy", at=network.client)
        assert client.recv(1) == b"y"
        lost = {"listener": "web", "side": "client"}
        wait_until(
            lambda: headgate.metric("headgate_tcp_retransmits_sum", **lost) > 0, lambda: headgate.get("/metrics")[1]
        )
        assert headgate.metric("headgate_tcp_retransmits_sum", listener="web", side="backend") == 0


def test_a_unix_socket_has_no_tcp(start, backend, open_directory):
    headgate = start(plain_proxy(backend(path=open_directory / "app").address))
    with raw_socket(headgate.port()) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        state = shown(headgate)
        assert state["client_rtt_seconds"] > 0
        assert state["backend_rtt_seconds"] is None and state["backend_retransmits"] is None
        wait_until(lambda: looked_at(headgate) > 0, "the connection is looked at")
        assert looked_at(headgate, "backend") == 0


def test_all_connections_are_looked_at_in_turn_and_few_of_them_in_a_second(start):
    count, at_once = 200, 64
    with ManyEcho() as echo, contextlib.ExitStack() as clients:
        headgate = start(plain_proxy(echo.address, workers=1))
        begin = time.monotonic()
        for _ in range(count):
            client = clients.enter_context(raw_socket(headgate.port()))
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        wait_until(lambda: looked_at(headgate) >= count, "as many as there are connections are looked at")
        seconds = time.monotonic() - begin
        assert looked_at(headgate) <= (seconds + 2) * at_once
