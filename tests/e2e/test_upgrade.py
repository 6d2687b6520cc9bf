"""Upgrade by SIGUSR2: a new process takes over, and no connection is cut."""

import contextlib
import hashlib
import hmac
import os
import random
import shutil
import signal
import socket
import struct
import threading
import time
import urllib.request

import pytest

from harness.backends import reset_on_close
from harness.config import SANITIZED, plain_proxy, proxy
from harness.crash import crash_library, needs_its_own_crash_report
from harness.dialogue import Dialogue
from harness.knocking import Knocking
from harness.servers import short_directory
from harness.tls_client import TLS12, connect, raw_socket
from harness.tools import run, tool
from harness.waiting import wait_until

# The message with which a program tells the process before that it has loaded everything.
_READY = b"HGHO" + struct.pack("<HH", 2, 0) + struct.pack("<HHIB", 1, 0, 1, 1) + struct.pack("<HHI", 2, 1, 0)
_READY_MESSAGE = struct.pack("=II", len(_READY), 0) + _READY
_DIES_HALF_WAY = (
    "#!/usr/bin/env python3\nimport socket\ns = socket.socket(fileno=3)\n"
    f"s.sendall({_READY_MESSAGE!r})\n"
    "s.recv(20000)\n"
)


def replace(program, text):
    fresh = program.with_name("fresh")
    fresh.write_text(text)
    fresh.chmod(0o755)
    fresh.rename(program)


def confinement(pid):
    """What /proc tells of the sandbox of a process."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        fields = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
    return {name: fields.get(name) for name in ("NoNewPrivs", "Seccomp", "Seccomp_filters")}


class Busy:
    """A connection that sends and receives without a pause and compares both directions by digest."""

    def __init__(self, port):
        self.client = connect(port)
        self.failure, self.size_bytes = None, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            sent, received = hashlib.sha256(), hashlib.sha256()
            while not self._over.is_set():
                chunk = random.randbytes(random.randrange(1, 40_000))
                self.client.send(chunk)
                sent.update(chunk)
                received.update(self.client.recv_exactly(len(chunk)))
                self.size_bytes += len(chunk)
            assert sent.digest() == received.digest()
        except Exception as failure:  # noqa: BLE001
            self.failure = repr(failure)

    def end(self):
        self._over.set()
        self._thread.join(30)
        self.client.close()
        assert self.failure is None, self.failure
        assert self.size_bytes > 0


def test_a_client_that_connects_in_a_loop_sees_no_upgrade(line, backend, certificate):
    running = line(proxy(backend().address, certificate, drain={"deadline": "5s"}))
    with Knocking(running.headgate.port()) as knocking:
        for _ in range(4):
            before = knocking.count
            running.upgrade()
            wait_until(lambda: knocking.count > before + 3 or knocking.failures, "the client goes on")
    assert knocking.failures == []


@pytest.mark.skipif(SANITIZED, reason="a build with sanitizers runs without the sandbox")
def test_twenty_upgrades_in_a_row_stay_in_one_sandbox(line, backend, certificate):
    """The kernel takes 16 layers of Landlock, and every filter of system calls makes each of them slower."""
    running = line(proxy(backend().address, certificate), sandbox=True)
    before = confinement(running.pid)
    assert before["Seccomp"] == "2" and before["NoNewPrivs"] == "1"
    with connect(running.headgate.port()) as client:
        for _ in range(20):
            running.upgrade()
            client.exchange(b"moved once more")
    assert confinement(running.pid) == before
    assert [entry for entry in running.headgate.log_with(level="warn") if "without" in entry["message"]] == []


def test_idle_and_busy_connections_live_through_upgrades_in_a_row(line, backend, certificate):
    running = line(proxy(backend().address, certificate))
    port = running.headgate.port()
    idle = [connect(port) for _ in range(60)]
    for client in idle:
        client.exchange(b"before")
    busy = [Busy(port) for _ in range(4)]
    moved = []
    for _ in range(4):
        moved.append(int(running.upgrade()["moved"]))
    for client in idle:
        client.exchange(b"after")
    for one in busy:
        one.end()
    assert moved == [64] * 4
    assert running.headgate.metric("headgate_handover_connections_total", result="moved") == 64 * 4
    assert running.headgate.metric("headgate_connections_accepted_total", listener="web") >= 64
    for client in idle:
        client.close()


def test_the_number_of_workers_may_change_over_an_upgrade(line, backend, certificate):
    config = proxy(backend().address, certificate, workers=4, drain={"deadline": "5s"})
    running = line(config)
    with Knocking(running.headgate.port()) as knocking:
        for workers in (1, 3, 2):
            running.headgate.write_config({**config, "workers": workers})
            before = knocking.count
            running.upgrade()
            wait_until(lambda: knocking.count > before + 20 or knocking.failures, "the client goes on")
    assert knocking.failures == []


def test_a_moved_connection_ends_as_any_other(line, backend, certificate):
    running = line(proxy(backend().address, certificate))
    client = connect(running.headgate.port())
    client.exchange(b"before")
    running.upgrade()
    client.exchange(b"after")
    client.end_writing()
    assert client.recv_to_end() == b""
    running.headgate.wait_metric("headgate_connections_active", 0, listener="web")


def test_tls_1_2_drains_in_the_process_before(line, backend, certificate):
    running = line(proxy(backend().address, certificate, drain={"deadline": "10s"}))
    old = connect(running.headgate.port(), version=TLS12)
    old.exchange(b"before")
    done = running.upgrade()
    old.exchange(b"still served")
    assert (int(done["moved"]), int(done["left"])) == (0, 1)
    assert running.headgate.metric("headgate_handover_connections_total", result="left", reason="record_layer") == 1
    old.close()
    assert running.headgate.child.wait(15) == 0


def still_serves(running, clients):
    for client in clients:
        client.exchange(b"still here")
    with connect(running.headgate.port()) as fresh:
        fresh.exchange(b"fresh")
    assert running.headgate.get("/readyz")[0] == 200
    assert running.headgate.child.poll() is None


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(None, id="missing"),
        pytest.param("#!/bin/sh\nexit 1\n", id="crashes_at_start"),
        pytest.param("not a program", id="no_program"),
        pytest.param(
            "#!/usr/bin/env python3\nimport socket\ns = socket.socket(fileno=3)\ns.recv(8)\n", id="dies_at_the_hello"
        ),
        pytest.param(_DIES_HALF_WAY, id="dies_half_way"),
    ],
)
def test_a_program_that_fails_changes_nothing(line, backend, certificate, program):
    running = line(proxy(backend().address, certificate))
    clients = [connect(running.headgate.port()) for _ in range(50)]
    with Knocking(running.headgate.port()) as knocking:
        if program is None:
            running.program.unlink()
        else:
            replace(running.program, program)
        assert running.fail()["why"]
        still_serves(running, clients)
    assert knocking.failures == []
    assert running.headgate.metric("headgate_handovers_total", result="failed") == 1
    running.program.unlink(missing_ok=True)
    shutil.copy2(f"/proc/{running.pid}/exe", running.program)
    opened = len(running.headgate.log_with(message="admin listening"))
    running.upgrade()
    wait_until(lambda: len(running.headgate.log_with(message="admin listening")) > opened, "the admin endpoint is open")
    for result in ("failed", "ok"):
        assert running.headgate.metric("headgate_handovers_total", result=result) == 1
    for client in clients:
        client.exchange(b"moved after all")


_CRASHES = {
    "when_it_is_ready": "say 1 1",
    "with_the_first_connection": "say 3 1",
    "half_way_through_the_connections": "say 3 12",
    "when_it_holds_everything": "say 6 1",
    "when_its_workers_start": "thread worker-",
    "right_before_it_serves": "say 8 1",
}


@needs_its_own_crash_report
@pytest.mark.parametrize("place", _CRASHES.values(), ids=_CRASHES)
def test_a_new_process_that_crashes_half_way_through_the_taking_over_loses_nothing(
    line, backend, certificate, tmp_path, place
):
    running = line(proxy(backend().address, certificate))
    clients = [connect(running.headgate.port()) for _ in range(20)]
    for client in clients:
        client.exchange(b"before")
    busy = [Busy(running.headgate.port()) for _ in range(2)]
    real = running.program.with_name("real")
    shutil.copy2(running.program, real)
    library = crash_library(tmp_path)
    text = f'#!/bin/sh\nCRASH_SIGNAL=segv CRASH_AT="{place}" LD_PRELOAD={library} exec {real} "$@"\n'
    with Knocking(running.headgate.port()) as knocking:
        replace(running.program, text)
        for count in (1, 2):
            assert "ended by signal 11" in running.fail(count)["why"]
            still_serves(running, clients)
        shutil.copy2(real, running.program.with_name("whole"))
        running.program.with_name("whole").rename(running.program)
        running.upgrade()
    for client in clients:
        client.exchange(b"moved after all")
    for one in busy:
        one.end()
    assert knocking.failures == []


@needs_its_own_crash_report
@pytest.mark.slow
def test_a_new_process_that_hangs_while_its_workers_start_is_ended(line, backend, certificate, tmp_path):
    running = line(proxy(backend().address, certificate))
    clients = [connect(running.headgate.port()) for _ in range(20)]
    real = running.program.with_name("real")
    shutil.copy2(running.program, real)
    library = crash_library(tmp_path)
    replace(
        running.program,
        f'#!/bin/sh\nCRASH_SIGNAL=hang CRASH_AT="thread worker-" LD_PRELOAD={library} exec {real} "$@"\n',
    )
    assert "not all workers started within 8 s" in running.fail()["why"]
    still_serves(running, clients)


def test_a_broken_configuration_is_told_and_changes_nothing(line, backend, certificate):
    config = proxy(backend().address, certificate)
    running = line(config)
    clients = [connect(running.headgate.port()) for _ in range(20)]
    running.headgate.write_config("listeners: 7\n")
    assert "listeners" in running.fail()["why"]
    still_serves(running, clients)


@pytest.mark.slow
def test_a_configuration_with_a_mebibyte_of_faults_crashes_no_process_and_changes_nothing(line, backend, certificate):
    config = proxy(backend().address, certificate)
    running = line(config)
    clients = [connect(running.headgate.port()) for _ in range(5)]
    running.headgate.write_config({**config, **{f"no_key_{number}_".ljust(100, "x"): 1 for number in range(5000)}})
    running.begin()
    running.headgate.wait_metric("headgate_handovers_total", result="failed")
    still_serves(running, clients)
    assert "this condition does not hold" not in running.headgate.output  # the log may lack lines: the reload's are many


@pytest.mark.timeout(300)
def test_fifteen_hundred_listeners_keep_their_counters(line, backend):
    """Their counters are more than one message of the hand-over holds."""
    names = [f"listener-{number}-".ljust(128, "n") for number in range(1500)]
    config = plain_proxy(backend().address, workers=1, log={"level": "info", "format": "json", "access": "off"})
    config["listeners"] = [{**config["listeners"][0], "name": name} for name in names]
    running = line(config)
    headgate = running.headgate
    ports = {one["name"]: int(one["bind"][0].rsplit(":", 1)[1]) for one in headgate.status()["listeners"]}
    held = raw_socket(ports[names[0]])
    for name in names:
        with raw_socket(ports[name]) as ends, raw_socket(ports[name]) as breaks:
            for client in (ends, breaks):
                client.sendall(b"before")
                assert client.recv(6) == b"before"
            reset_on_close(breaks)
    headgate.wait_metric("headgate_connections_active", 1)
    running.upgrade()
    after = headgate.metrics()
    for name in (names[0], names[700], names[-1]):
        assert after.value("headgate_connections_accepted_total", listener=name) == (3 if name == names[0] else 2)
        assert after.value("headgate_connections_closed_total", listener=name) == 2
        assert after.value("headgate_bytes_total", listener=name, direction="from_client") == 12
        with raw_socket(ports[name]) as client:
            client.sendall(b"after")
            assert client.recv(5) == b"after"
    held.sendall(b"moved")
    assert held.recv(5) == b"moved"
    held.close()
    assert after.value("headgate_connections_accepted_total") == 2 * len(names) + 1
    assert after.value("headgate_handovers_total", result="ok") == 1


def test_a_new_process_killed_while_it_starts_leaves_everything_to_the_old_one(line, backend, certificate):
    running = line(proxy(backend().address, certificate))
    clients = [connect(running.headgate.port()) for _ in range(100)]
    failures = 0
    for pause in (0.0, 0.005, 0.01):
        running.begin()
        child = wait_until(lambda: _child_of(running.pid), "a new process starts")
        time.sleep(pause)
        os.kill(child, signal.SIGKILL)
        failures += 1
        running.headgate.wait_log(failures, message="the upgrade failed: this process carries on with everything")
        still_serves(running, clients)


def _child_of(pid):
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found = file.read().split()
        except FileNotFoundError:
            continue
        if found:
            return int(found[0])
    return None


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_idle_and_fifty_busy_connections_live_through_ten_upgrades_and_ten_that_fail(
    line, backend, certificate
):
    running = line(proxy(backend().address, certificate, drain={"deadline": "5s"}))
    port = running.headgate.port()
    idle = [connect(port) for _ in range(1000)]
    for client in idle:
        client.exchange(b"before")
    busy = [Busy(port) for _ in range(50)]
    real = running.program.with_name("real")
    shutil.copy2(running.program, real)
    failing = running.program.with_name("failing")
    failing.write_text("#!/bin/sh\nexit 1\n")
    failing.chmod(0o755)
    with Knocking(port) as knocking:
        for count in range(1, 11):
            swap_in(running.program, failing)
            running.fail(count)
            swap_in(running.program, real)
            assert int(running.upgrade()["moved"]) >= 1050
    assert knocking.failures == []
    for client in idle:
        client.exchange(b"after")
        client.close()
    for one in busy:
        one.end()


def crashing_half_way(running, directory):
    real = running.program.with_name("real")
    shutil.copy2(running.program, real)
    library = crash_library(directory)
    text = f'#!/bin/sh\nCRASH_SIGNAL=segv CRASH_AT="say 3 12" LD_PRELOAD={library} exec {real} "$@"\n'
    replace(running.program, text)


_FAILURES = {
    "binary_missing": lambda running, _: running.program.unlink(),
    "configuration_broken": lambda running, _: running.headgate.write_config("listeners: 7\n"),
    "crashes_at_start": lambda running, _: replace(running.program, "#!/bin/sh\nkill -SEGV $$\n"),
    "crashes_half_way": crashing_half_way,
}


@needs_its_own_crash_report
@pytest.mark.slow
@pytest.mark.parametrize("spoil", _FAILURES.values(), ids=_FAILURES)
def test_a_client_that_connects_in_a_loop_sees_none_of_ten_failed_and_ten_good_upgrades(
    line, backend, certificate, tmp_path, spoil
):
    config = proxy(backend().address, certificate, drain={"deadline": "5s"})
    running = line(config)
    whole = running.program.with_name("whole")
    shutil.copy2(running.program, whole)
    held = [connect(running.headgate.port()) for _ in range(20)]
    with Knocking(running.headgate.port()) as knocking:
        spoil(running, tmp_path)
        for count in range(1, 11):
            running.fail(count)
        swap_in(running.program, whole)
        running.headgate.write_config(config)
        for _ in range(10):
            before = knocking.count
            running.upgrade()
            wait_until(lambda before=before: knocking.count > before + 3 or knocking.failures, "the client goes on")
    assert knocking.failures == []
    for client in held:
        client.exchange(b"moved ten times")
        client.close()


def memory_holds(pid, wanted):
    """Whether the bytes are anywhere in the writable memory of a process."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            begin, end = (int(number, 16) for number in span.split("-"))
            memory.seek(begin)
            if wanted in memory.read(end - begin):
                return True
    return False


def next_secret(secret):
    """The traffic secret after a KeyUpdate. RFC 8446, section 7.2."""
    digest = hashlib.sha384 if len(secret) == 48 else hashlib.sha256
    label = b"tls13 traffic upd"
    info = struct.pack(">HB", len(secret), len(label)) + label + b"\x00"
    return hmac.digest(secret, info + b"\x01", digest)


@pytest.mark.memory
def test_the_keys_of_a_connection_are_gone_from_the_process_that_gave_it_away(line, backend, certificate, tmp_path):
    keys = tmp_path / "keys.log"
    running = line(proxy(backend().address, certificate, tls={"keylog_file": str(keys)}, drain={"deadline": "300s"}))
    before = running.pid
    staying = connect(running.headgate.port(), version=TLS12)  # keeps the process alive
    staying.exchange(b"before")
    with Dialogue(tool("openssl"), "s_client", "-connect", running.headgate.address(), "-tls1_3", "-crlf") as moving:
        moving.expect("Verify return code")
        moving.say("K\n")  # OpenSSL never had the secret after a KeyUpdate
        moving.expect("KEYUPDATE")
        moving.say("before\n")
        moving.expect("before")
        logged = [text.split() for text in keys.read_text(encoding="ascii").splitlines()]
        secrets = [next_secret(bytes.fromhex(text[2])) for text in logged if text[0].endswith("_TRAFFIC_SECRET_0")]
        assert len(secrets) == 2
        assert all(memory_holds(before, secret) for secret in secrets)
        running.upgrade()
        moving.say("after\n")
        moving.expect("after")
        assert not any(memory_holds(before, secret) for secret in secrets)
        assert all(memory_holds(running.pid, secret) for secret in secrets)
    staying.exchange(b"still there")
    staying.close()


def swap_in(program, other):
    fresh = program.with_name("fresh")
    shutil.copy2(other, fresh)
    fresh.rename(program)


def test_the_admin_endpoint_keeps_its_socket_and_the_clients_that_wait_in_it(line, backend, certificate):
    """The client asks while neither process serves the endpoint, again and again; none is refused."""
    running = line(proxy(backend().address, certificate))
    address = running.headgate.admin_address
    refused, over = [], threading.Event()

    def ask():
        while not over.is_set():
            try:
                assert running.headgate.get("/readyz")[0] == 200
            except OSError as error:
                refused.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    for _ in range(3):
        running.upgrade()
        assert running.headgate.admin_address == address
    over.set()
    asking.join(30)
    assert not refused


def test_a_unix_socket_of_the_admin_endpoint_goes_from_process_to_process(line, backend, certificate):
    path = short_directory() / "admin.sock"
    running = line(proxy(backend().address, certificate, admin={"bind": f"unix:{path}"}), wait=False)
    running.wait_log(1, "admin listening")
    running.wait_log(1, "listening")
    inode = path.stat().st_ino
    ask = (tool("curl"), "-s", "--unix-socket", path, "http://headgate/readyz")
    for _ in range(2):
        running.upgrade()
        assert path.stat().st_ino == inode
        assert run(*ask).stdout == "ok\n"
    running.end()
    assert not path.exists()


def test_a_failed_upgrade_opens_the_admin_endpoint_again_on_its_socket(line, backend, certificate):
    running = line(proxy(backend().address, certificate))
    address = running.headgate.admin_address
    replace(running.program, _DIES_HALF_WAY)
    running.fail()
    running.wait_log(2, "admin listening")
    assert running.headgate.admin_address == address
    assert running.headgate.get("/readyz")[0] == 200


def test_the_metrics_address_keeps_its_socket_over_upgrades_good_and_bad(line, backend, certificate):
    running = line(proxy(backend().address, certificate, admin={"bind": "127.0.0.1:0", "metrics_bind": "127.0.0.1:0"}))
    address = running.headgate.wait_log(message="metrics listening")[0]["address"]

    def is_served():
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{address}/readyz", timeout=20) as answer:
            return answer.status == 200
        return False

    running.upgrade()
    assert running.wait_log(2, "metrics listening")["address"] == address
    wait_until(is_served, lambda: running.headgate.output)
    replace(running.program, _DIES_HALF_WAY)
    running.fail()
    assert running.wait_log(3, "metrics listening")["address"] == address
    wait_until(is_served, lambda: running.headgate.output)
