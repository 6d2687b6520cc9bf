"""Headgate tells systemd that it is ready, reloading or stopping, its main process, and that the loops turn."""

import os
import re
import select
import signal
import socket
import time

import pytest

from harness.config import plain_proxy, proxy
from harness.crash import crash_library, needs_its_own_crash_report
from harness.tls_client import connect, raw_socket
from harness.waiting import DEADLINE_SECONDS, wait_until


class Manager:
    """Takes the place of systemd at the other end of $NOTIFY_SOCKET."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.heard = []

    def listen(self, seconds=0.0):
        """All messages so far, and those within the given seconds."""
        until = time.monotonic() + seconds
        while select.select([self.socket], [], [], max(0, until - time.monotonic()))[0]:
            self.heard.append(self.socket.recv(4096).decode())
        return self.heard

    def forget(self):
        self.listen()
        self.heard.clear()

    def wait(self, pattern):
        """Waits for a message that begins with `pattern`; returns it and drops those before."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            for place, message in enumerate(self.listen(0.05)):
                if re.match(pattern, message):
                    del self.heard[: place + 1]
                    return message
        raise AssertionError(f"{pattern} was never said: {self.heard}")


@pytest.fixture
def manager(tmp_path, monkeypatch):
    heard = Manager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with heard.socket:
        yield heard


def test_systemd_hears_that_it_serves_and_that_it_ends(start, backend, certificate, manager):
    headgate = start(proxy(backend().address, certificate))
    assert manager.wait("READY=1") == "READY=1\nSTATUS=serving"
    headgate.signal(signal.SIGTERM)
    manager.wait("STOPPING=1")


def test_a_reload_is_begun_and_ended_with_its_outcome(start, backend, certificate, manager):
    headgate = start(proxy(backend().address, certificate))
    manager.wait("READY=1")
    headgate.signal(signal.SIGHUP)
    began = int(manager.wait("RELOADING=1").partition("MONOTONIC_USEC=")[2])
    assert began <= time.monotonic() * 1e6
    assert manager.wait("READY=1") == "READY=1\nSTATUS=serving"
    headgate.write_config("listeners: 7\n")
    headgate.signal(signal.SIGHUP)
    manager.wait("RELOADING=1")
    assert manager.wait("READY=1") == "READY=1\nSTATUS=serving; the last reload failed"


def test_a_reload_while_the_process_drains_is_refused_aloud_and_nothing_is_ready_again(
    start, backend, certificate, manager
):
    headgate = start({**proxy(backend().address, certificate), "drain": {"deadline": "1m"}})
    manager.wait("READY=1")
    with connect(headgate.port()) as client:
        client.exchange(b"keeps the process")
        headgate.signal(signal.SIGTERM)
        manager.wait("STOPPING=1")
        assert headgate.post("/reload")[0] == 409
        headgate.wait_log(message="reload refused", fault="the process is draining")
        told = headgate.status()["reload"]
        assert told["last_result"] == "failed" and told["faults"] == ["the process is draining"]
        headgate.signal(signal.SIGTERM)
        assert headgate.wait_exit() == 0
    assert not [message for message in manager.listen() if message.startswith(("READY=1", "RELOADING=1"))]


def test_an_upgrade_tells_which_process_is_the_main_one(start, backend, certificate, manager):
    headgate = start({**proxy(backend().address, certificate), "sandbox": False})
    manager.wait("READY=1")
    headgate.signal(signal.SIGUSR2)
    said = [manager.wait("MAINPID=|READY=1") for _ in range(2)]
    (done,) = headgate.wait_log(message="upgraded: the new process serves")
    assert f"MAINPID={done['pid']}" in said and "READY=1\nSTATUS=serving" in said, said
    with connect(headgate.port()) as client:
        client.exchange(b"served by the main process")
    os.kill(int(done["pid"]), signal.SIGTERM)
    manager.wait("STOPPING=1")
    for reader in headgate._readers:
        reader.join(DEADLINE_SECONDS)


@needs_its_own_crash_report
@pytest.mark.slow
def test_the_watchdog_is_fed_while_every_loop_turns_and_starves_when_one_hangs(
    start, backend, tmp_path, manager, monkeypatch
):
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    monkeypatch.setenv("LD_PRELOAD", str(crash_library(tmp_path)))
    monkeypatch.setenv("CRASH_AT", "text please hang")
    monkeypatch.setenv("CRASH_SIGNAL", "hang")
    headgate = start(plain_proxy(backend().address, workers=2))
    headgate.expected_exit = -signal.SIGKILL
    monkeypatch.undo()
    for _ in range(3):
        manager.wait("WATCHDOG=1")
    with raw_socket(headgate.port()) as client:
        client.sendall(b"please hang")

        def is_seen():
            manager.forget()  # the kernel keeps ten messages, then a sender waits until one is read
            return headgate.get("/healthz")[0] == 503

        wait_until(is_seen, "it is seen that a loop hangs")
        assert re.search(r"worker \d has not answered for 10 s", headgate.get("/healthz")[1])
        manager.forget()
        assert "WATCHDOG=1" not in manager.listen(2.5)
    headgate.child.kill()
    headgate.wait_exit()
