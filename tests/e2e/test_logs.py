"""The log: one line when a connection ends, in text or JSON, and never a flood."""

import json
import os
import re
import signal
import socket
import subprocess

import pytest

from harness.config import file_text, proxy
from harness.headgate import Headgate
from harness.kernel import listening_ports
from harness.tls_client import connect, raw_socket, read_to_end
from harness.tools import headgate_binary
from harness.waiting import wait_until


def end_in_order(headgate, **options):
    with connect(headgate.port(), **options) as client:
        client.exchange(b"12345")
        client.end_writing()
        client.recv_to_end()
    headgate.wait_metric("headgate_connections_active", 0)


def garbage(headgate, count=1):
    for _ in range(count):
        with raw_socket(headgate.port()) as client:
            client.sendall(b"\xff" * 100)
            read_to_end(client)


def with_log(**log):
    return {"log": {"level": "info", "format": "json", **log}}


def test_the_end_of_a_connection_is_one_line_with_what_it_was(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, **with_log(access="all")))
    end_in_order(headgate)
    (line,) = headgate.wait_log(reason="finished")
    assert line["listener"] == "web"
    assert line["sni"] == "app.test"
    assert line["version"] == "TLSv1.3"
    assert line["group"]
    assert line["source"].startswith("127.0.0.1")
    assert line["time"] and line["level"] == "info"
    assert 5 in line.values()  # bytes each way


def test_only_failures_are_logged_by_default(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, **with_log()))
    end_in_order(headgate)
    garbage(headgate)
    headgate.wait_log(reason="not_tls")
    assert not headgate.log_with(reason="finished")


def test_access_off_logs_no_end(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, **with_log(access="off")))
    garbage(headgate)
    end_in_order(headgate)
    assert not headgate.log_with(reason="not_tls") and not headgate.log_with(reason="finished")


def test_a_storm_of_failures_is_a_few_lines_and_a_count(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, workers=1, **with_log()))
    garbage(headgate, 200)
    headgate.wait_metric("headgate_handshake_failures_total", 200, reason="not_tls")
    headgate.stop()
    lines = headgate.log_with(reason="not_tls")
    ends = [line for line in lines if line["message"] == "connection ended"]
    assert 0 < len(ends) < 50
    assert sum(line["count"] for line in lines if "count" in line) == 200 - len(ends)


def test_failures_are_grouped_by_reason_each_with_its_count(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, workers=1, **with_log()))
    garbage(headgate, 60)
    for _ in range(40):
        with raw_socket(headgate.port()) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            read_to_end(client)
    headgate.wait_metric("headgate_handshake_failures_total", 100)
    headgate.stop()
    for reason, count in (("not_tls", 60), ("plaintext_http", 40)):
        lines = headgate.log_with(reason=reason)
        ends = [line for line in lines if line["message"] == "connection ended"]
        summaries = [line for line in lines if "count" in line]
        assert len(ends) >= 10 and summaries, reason
        assert len(ends) + sum(line["count"] for line in summaries) == count
        assert all(re.match(rf"{line['count']} more connections ended like this in \d+ s", line["message"]) for line in summaries)


def test_text_lines_have_time_level_and_fields(start, backend, certificate, tmp_path):
    config = proxy(backend().address, certificate, log={"format": "text", "access": "all"})
    headgate = Headgate(tmp_path, config)
    try:
        with headgate._changed:
            headgate._changed.wait_for(lambda: any("admin listening" in line for line in headgate._lines), 30)
        lines = [line for line in headgate.output.splitlines() if " listening" in line]
        assert lines
        for line in lines:
            assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info +(admin )?listening .*address=", line), line
    finally:
        headgate.stop()


@pytest.mark.parametrize("name", ["new\nline.test", 'quo"te.test', "\x1b[31m.test"], ids=["newline", "quote", "escape"])
def test_what_a_client_sends_cannot_forge_a_line(start, backend, certificate, name):
    headgate = start(proxy(backend().address, certificate, **with_log(access="all")))
    try:
        end_in_order(headgate, sni=name)
    except Exception:  # noqa: BLE001  a refusal of such a name is right too
        pass
    headgate.stop()
    assert "\x1b" not in headgate.output
    assert all(line.startswith("{") for line in headgate.output.splitlines() if line)


def test_a_reader_of_the_log_that_does_not_read_holds_nobody_up(backend, certificate, tmp_path):
    config = proxy(backend().address, certificate, log={"level": "debug", "format": "json", "access": "all"})
    config["admin"]["bind"] = "off"
    file = tmp_path / "headgate.yaml"
    file.write_text(file_text(config))
    reading, writing = os.pipe()
    child = subprocess.Popen([headgate_binary(), "run", "--config", str(file)], stderr=writing)
    os.close(writing)
    try:
        ports = wait_until(lambda: listening_ports(child.pid), "it listens")
        for _ in range(1500):
            with raw_socket(ports[0]) as client:
                client.sendall(b"\xff" * 300)
        with connect(ports[0]) as client:
            client.exchange(b"not held up")
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 0
    finally:
        os.close(reading)
        child.kill()
        child.wait()


def ask(admin, path):
    """An answer of the admin endpoint on a unix socket: the log cannot say where it listens."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(admin))
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        return read_to_end(connection).decode().partition("\r\n\r\n")[2]


def is_served(admin):
    """The file of the socket is there before the socket takes connections."""
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(admin)) == 0


def dropped(admin):
    text = ask(admin, "/metrics")
    return float(re.search(r"^headgate_log_lines_dropped_total (\S+)", text, re.MULTILINE)[1])


def port_of(admin):
    return int(json.loads(ask(admin, "/status.json"))["listeners"][0]["bind"][0].rpartition(":")[2])


@pytest.mark.parametrize("where", ["full pipe", "full disk"])
def test_lines_that_cannot_be_written_are_dropped_and_counted(backend, certificate, tmp_path, where):
    config = proxy(backend().address, certificate, log={"level": "debug", "format": "json", "access": "all"})
    config["admin"]["bind"] = f"unix:{tmp_path}/admin"
    file = tmp_path / "headgate.yaml"
    file.write_text(file_text(config))
    reading, writing = os.pipe() if where == "full pipe" else (None, os.open("/dev/full", os.O_WRONLY))
    child = subprocess.Popen([headgate_binary(), "run", "--config", str(file)], stderr=writing)
    try:
        wait_until(lambda: is_served(tmp_path / "admin"), "the admin endpoint is there")
        port = port_of(tmp_path / "admin")

        def counted():
            with connect(port) as client:
                client.exchange(b"not held up")
            return dropped(tmp_path / "admin") > 10

        wait_until(counted, "lost lines are counted")
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 0
    finally:
        for fd in (reading, writing):
            if fd is not None:
                os.close(fd)
        child.kill()
        child.wait()


def test_a_file_is_opened_again_on_sighup_after_it_was_rotated(backend, certificate, tmp_path):
    """In the sandbox, which must allow it to make the new file."""
    log, rotated = tmp_path / "headgate.log", tmp_path / "headgate.log.1"
    config = proxy(backend().address, certificate, log={"level": "info", "format": "json"})
    config["admin"]["bind"] = f"unix:{tmp_path}/admin"
    file = tmp_path / "headgate.yaml"
    file.write_text(file_text(config))
    with log.open("ab") as stderr:
        child = subprocess.Popen([headgate_binary(), "run", "--config", str(file)], stderr=stderr)
    try:
        wait_until(lambda: is_served(tmp_path / "admin"), "the admin endpoint is there")
        log.rename(rotated)
        child.send_signal(signal.SIGHUP)
        wait_until(lambda: log.exists() and "reloaded" in log.read_text(), "the new file is written to")
        before = rotated.read_text()
        assert "reloaded" not in before and "admin listening" in before
        with raw_socket(port_of(tmp_path / "admin")) as client:
            client.sendall(b"\xff" * 100)
            read_to_end(client)
        wait_until(lambda: "not_tls" in log.read_text(), "a failure is in the new file")
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 0
        assert rotated.read_text() == before
    finally:
        child.kill()
        child.wait()
