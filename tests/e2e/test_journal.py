"""The log under systemd: entries with fields in the journal, not lines of text."""

import contextlib
import os
import signal
import socket
import subprocess

import pytest
from OpenSSL import SSL

from harness.config import file_text, proxy
from harness.servers import short_directory
from harness.tls_client import connect, raw_socket, read_to_end
from harness.tools import headgate_binary, tool
from harness.waiting import DEADLINE_SECONDS


class Journal:
    """A socket in place of the journal's, for a Headgate in a mount name space of its own."""

    def __init__(self):
        self.path = short_directory() / "journal"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.settimeout(DEADLINE_SECONDS)
        self.entries = []

    def wait_entry(self, **fields):
        """The next entry that has all of `fields`."""
        while True:
            entry = parsed(self._socket.recv(65536))
            self.entries.append(entry)
            if fields.items() <= entry.items():
                return entry

    def close(self):
        self._socket.close()


def parsed(datagram):
    """https://systemd.io/JOURNAL_NATIVE_PROTOCOL: KEY=value lines, or KEY, a length of eight bytes and the value."""
    entry = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        key, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + size], rest[8 + size + 1 :]
        entry[key.decode()] = value.decode()
        datagram = rest
    return entry


def own_mounts():
    """The command that gives a program its own mounts. Root needs no user name space for it."""
    return [tool("unshare"), "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


@pytest.fixture
def journal():
    if subprocess.run([*own_mounts(), "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no mounts of one's own here, as in a changed root: the journal's socket cannot be put into its place")
    one = Journal()
    yield one
    one.close()


def start_under_journal(journal, config, directory):
    """Starts Headgate; returns the child and the reading end of its stderr."""
    file = directory / "headgate.yaml"
    file.write_text(file_text(config))
    reading, writing = os.pipe()
    stream = os.fstat(writing)
    script = (
        'mount -t tmpfs none /run && mkdir -p /run/systemd/journal && touch /run/systemd/journal/socket && '
        'mount --bind "$0" /run/systemd/journal/socket && exec "$@"'
    )
    child = subprocess.Popen(
        [*own_mounts(), tool("bash"), "-c", script, str(journal.path),
         headgate_binary(), "run", "--config", str(file)],
        stderr=writing,
        env={**os.environ, "JOURNAL_STREAM": f"{stream.st_dev}:{stream.st_ino}"},
    )  # fmt: skip
    os.close(writing)
    return child, reading


def test_under_systemd_the_journal_gets_entries_with_fields_and_stderr_nothing(backend, certificate, tmp_path, journal):
    config = proxy(backend().address, certificate, log={"level": "info", "format": "text", "access": "all"})
    config["admin"]["bind"] = "off"
    child, stderr = start_under_journal(journal, config, tmp_path)
    try:
        listening = journal.wait_entry(HEADGATE_LISTENER="web")
        assert listening["PRIORITY"] == "6" and listening["SYSLOG_IDENTIFIER"] == "headgate"
        port = int(listening["HEADGATE_ADDRESS"].rpartition(":")[2])
        with raw_socket(port) as client:
            client.sendall(b"\xff" * 100)
            read_to_end(client)
        failed = journal.wait_entry(HEADGATE_REASON="not_tls")
        assert failed["PRIORITY"] == "4" and failed["HEADGATE_FAILURE"] == "not_tls"
        assert failed["HEADGATE_SOURCE"].startswith("127.0.0.1:") and failed["MESSAGE"].startswith("connection ended ")
        with connect(port) as client:
            client.exchange(b"12345")
            client.end_writing()
            client.recv_to_end()
        ended = journal.wait_entry(HEADGATE_REASON="finished")
        assert ended["HEADGATE_SNI"] == "app.test" and ended["HEADGATE_BYTES_FROM_CLIENT"] == "5"
        child.send_signal(signal.SIGINT)
        assert child.wait(DEADLINE_SECONDS) == 0
        with os.fdopen(os.dup(stderr), "rb") as rest:
            assert rest.read() == b""
    finally:
        os.close(stderr)
        child.kill()
        child.wait()


def test_a_client_cannot_forge_a_field(backend, certificate, tmp_path, journal):
    config = proxy(backend().address, certificate, log={"level": "info", "format": "text", "access": "all"})
    config["admin"]["bind"] = "off"
    child, stderr = start_under_journal(journal, config, tmp_path)
    try:
        port = int(journal.wait_entry(HEADGATE_LISTENER="web")["HEADGATE_ADDRESS"].rpartition(":")[2])
        with contextlib.suppress(SSL.Error):  # refused or served: only the entry matters
            connect(port, sni="a\nHEADGATE_FORGED=1").close()
        journal.wait_entry(HEADGATE_LISTENER="web")
        assert not any("HEADGATE_FORGED" in entry for entry in journal.entries)
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(DEADLINE_SECONDS)
        os.close(stderr)
