"""The report that the process prints when it crashes."""

import json
import signal
import socket

import pytest

from harness.config import proxy
from harness.crash import crash_library, needs_its_own_crash_report


@needs_its_own_crash_report
@pytest.mark.parametrize(("how", "number"), [("segv", signal.SIGSEGV), ("abort", signal.SIGABRT)])
def test_a_crash_leaves_a_backtrace_and_the_connection_it_worked_on(
    start, backend, certificate, tmp_path, monkeypatch, how, number
):
    monkeypatch.setenv("LD_PRELOAD", str(crash_library(tmp_path)))
    monkeypatch.setenv("CRASH_AT", "text please crash")
    monkeypatch.setenv("CRASH_SIGNAL", how)
    config = proxy(backend().address, certificate, log={"access": "all", "format": "json"})
    del config["listeners"][0]["tls"]
    headgate = start(config)
    headgate.expected_exit = -number
    for name in ("LD_PRELOAD", "CRASH_AT", "CRASH_SIGNAL"):
        monkeypatch.delenv(name)
    with socket.create_connection(("127.0.0.1", headgate.port()), timeout=10) as client:
        client.sendall(b"hello")
        assert client.recv(16) == b"hello"
        (live,) = json.loads(headgate.get("/connections.json")[1])["connections"]
        client.sendall(b"please crash")
        assert headgate.wait_exit() == -number
    lines = [line for line in headgate.output.splitlines() if not line.startswith("{")]
    assert lines[0].startswith(f"headgate: crashed by {signal.Signals(number).name}; version ")
    assert lines[1] == f"headgate: at work on connection {live['id']} of listener web"
    assert any("headgate" in line and "+0x" in line for line in lines[2:]), lines
