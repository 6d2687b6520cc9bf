"""Another log level for one listener or one source, for a while."""

import socket

import pytest

from harness.config import proxy
from harness.tls_client import connect
from harness.waiting import wait_until


def quiet_headgate(start, backend, certificate):
    config = proxy(backend().address, certificate, log={"level": "warn", "format": "json", "access": "failures"})
    config["listeners"].append({**config["listeners"][0], "name": "other"})
    return start({**config, "log": {**config["log"], "level": "info"}})


def visit(headgate, listener):
    with connect(headgate.port(listener)) as client:
        client.exchange(b"x")
        client.end_writing()
        client.recv_to_end()
    headgate.wait_metric("headgate_connections_active", 0)


@pytest.mark.parametrize("part", ["listener=web", "source=127.0.0.0/8"])
def test_debug_for_a_part_shows_each_phase_and_the_end(start, backend, certificate, part):
    headgate = quiet_headgate(start, backend, certificate)
    visit(headgate, "web")
    assert headgate.post(f"/log?level=debug&{part}")[0] == 200
    visit(headgate, "web")
    (end,) = headgate.wait_log(message="connection ended", reason="finished", listener="web")
    steps = [line["phase"] for line in headgate.log_with(message="connection entered a phase", id=end["id"])]
    assert steps == ["hello", "handshake", "authorize", "route", "connect", "relay", "shutdown"][: len(steps)]
    assert "relay" in steps


def test_the_other_listener_keeps_the_level_of_the_process(start, backend, certificate):
    headgate = quiet_headgate(start, backend, certificate)
    assert headgate.post("/log?level=debug&listener=web")[0] == 200
    visit(headgate, "other")
    visit(headgate, "web")
    headgate.wait_log(message="connection ended", listener="web")
    assert not headgate.log_with(message="connection ended", listener="other")


def test_another_source_keeps_the_level_of_the_process(start, backend, certificate):
    headgate = quiet_headgate(start, backend, certificate)
    assert headgate.post("/log?level=debug&source=127.0.0.2")[0] == 200
    visit(headgate, "web")
    elsewhere = socket.create_connection(("127.0.0.1", headgate.port()), source_address=("127.0.0.2", 0))
    with connect(headgate.port(), connected=elsewhere) as client:
        client.exchange(b"x")
    (end,) = headgate.wait_log(message="connection ended")
    assert end["source"].startswith("127.0.0.2:")


def test_it_ends_by_itself_and_is_said(start, backend, certificate):
    headgate = quiet_headgate(start, backend, certificate)
    assert headgate.post("/log?level=debug&listener=web&for=600ms")[0] == 200
    (told,) = wait_until(lambda: headgate.status()["log"]["overrides"], "the level is shown")
    assert (told["of"], told["level"]) == ("listener web", "debug")
    headgate.wait_log(message="log level is as configured again", of="listener web")
    visit(headgate, "web")
    assert not headgate.log_with(message="connection ended")
    assert headgate.status()["log"]["overrides"] == []


def test_reset_ends_it_now(start, backend, certificate):
    headgate = quiet_headgate(start, backend, certificate)
    assert headgate.post("/log?level=debug&listener=web")[0] == 200
    assert headgate.post("/log?level=reset&listener=web")[0] == 200
    assert headgate.post("/log?level=reset&listener=web")[0] == 404
    visit(headgate, "web")
    assert not headgate.log_with(message="connection ended")


def test_it_holds_over_a_reload_with_more_workers(start, backend, certificate):
    headgate = quiet_headgate(start, backend, certificate)
    assert headgate.post("/log?level=info&listener=web")[0] == 200
    config = proxy(backend().address, certificate, log={"level": "info", "format": "json", "access": "off"}, workers=4)
    config["listeners"][0]["bind"] = headgate.address("web")
    headgate.write_config(config)
    assert headgate.post("/reload")[0] == 200
    for _ in range(20):
        visit(headgate, "web")
    headgate.wait_log(20, message="connection ended", listener="web")


@pytest.mark.parametrize(
    ("query", "status"),
    [("level=debug&listener=nobody", 404), ("level=debug&listener=web&source=127.0.0.1", 400), ("level=debug&for=x", 400)],
)
def test_what_is_not_there_or_not_understood_is_said(echo_proxy, query, status):
    assert echo_proxy.post("/log?" + query)[0] == status
    assert echo_proxy.status()["log"]["overrides"] == []
