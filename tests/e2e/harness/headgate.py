"""One running Headgate: its configuration, its sockets, its log and its metrics."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path

from harness.config import SANITIZED, file_text
from harness.exposition import Exposition
from harness.tools import headgate_binary
from harness.waiting import DEADLINE_SECONDS, wait_until

_SANITIZER_REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")


class Headgate:
    """A child running `headgate`. Drives it as an operator does: signals, the admin endpoint, its log.

    `config` is written as JSON, which is YAML too. The sockets are bound to port 0, and the log says which
    ports they got.
    """

    def __init__(self, directory, config=None, arguments=None, **popen_options):
        self.directory = Path(directory)
        self.config_file = self.directory / "headgate.yaml"
        if config is not None:
            self.write_config(config)
        arguments = arguments or ["run", "--config", self.config_file]
        if SANITIZED and not (isinstance(config, dict) and not config.get("sandbox")):
            # The sandbox is on, and leaks cannot be found under it.
            environment = popen_options.get("env") or os.environ
            options = environment.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
            popen_options["env"] = {**environment, "ASAN_OPTIONS": options}
        self._lines = []
        self._changed = threading.Condition()
        self._unread = 2  # streams that have not ended: a successor of an upgrade writes to them too
        self.child = subprocess.Popen(
            [headgate_binary(), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            **popen_options,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (self.child.stdout, self.child.stderr)
        ]
        for reader in self._readers:
            reader.start()

    def write_config(self, config):
        """Replaces the configuration file by rename, as a careful operator does."""
        fresh = self.config_file.with_suffix(".new")
        fresh.write_text(config if isinstance(config, str) else file_text(config))
        fresh.rename(self.config_file)

    # --- its log

    def _read(self, stream):
        for line in stream:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._unread -= 1
            self._changed.notify_all()

    @property
    def output(self):
        """The text that it has written so far."""
        with self._changed:
            return "\n".join(self._lines)

    @property
    def log(self):
        """The log lines so far that are JSON, as dictionaries; "message" is their text."""
        with self._changed:
            return [entry for entry in map(_parsed, self._lines) if entry]

    def log_with(self, **fields):
        """The log entries that have all of `fields`."""
        return [entry for entry in self.log if fields.items() <= entry.items()]

    def complaints(self):
        """The entries at level warn or error, but for those about groups that OpenSSL 3.0 lacks."""
        worse = [entry for entry in self.log if entry.get("level") in ("warn", "error")]
        return [entry for entry in worse if "lacks the group" not in entry["message"]]

    def wait_log(self, count=1, **fields):
        """Waits for `count` log entries that have all of `fields`; returns them."""
        with self._changed:
            self._changed.wait_for(
                lambda: len(self.log_with(**fields)) >= count or not self._unread, DEADLINE_SECONDS
            )
        found = self.log_with(**fields)
        assert len(found) >= count, f"{count} log lines with {fields} never came:\n{self.output}"
        return found

    def wait_fault(self, words, **fields):
        """Waits for a log entry at level error, with all of `fields`, whose fault has `words`; returns all of them."""
        return wait_until(
            lambda: [entry for entry in self.log_with(level="error", **fields) if words in entry.get("fault", "")],
            lambda: f"no fault says {words}:\n{self.output}",
        )

    # --- its sockets

    def wait_ready(self):
        """Waits until `/readyz` answers 200."""
        wait_until(lambda: self._ready() or self.child.poll() is not None, lambda: f"not ready:\n{self.output}")
        assert self.child.poll() is None, f"ended with {self.child.returncode} instead of getting ready:\n{self.output}"
        return self

    def _ready(self):
        if not self.log_with(message="admin listening"):
            return False
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def address(self, listener="web", index=0):
        """The address of a listener, "host:port", as the log has it."""
        return self.wait_log(index + 1, message="listening", listener=listener)[index]["address"]

    def port(self, listener="web", index=0):
        return int(self.address(listener, index).rsplit(":", 1)[1])

    @property
    def admin_address(self):
        return self.wait_log(message="admin listening")[-1]["address"]

    # --- its admin endpoint

    def request(self, method, path):
        """(status, text) of the admin endpoint's answer."""
        connection = http.client.HTTPConnection(self.admin_address, timeout=DEADLINE_SECONDS)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def get(self, path):
        return self.request("GET", path)

    def post(self, path):
        return self.request("POST", path)

    def status(self):
        return json.loads(self.get("/status.json")[1])

    def metrics(self):
        status, text = self.get("/metrics")
        assert status == 200, text
        return Exposition(text)

    def metric(self, name, **labels):
        """Returns the value now, summed over all other labels."""
        return self.metrics().value(name, **labels)

    def wait_metric(self, name, wanted=1, **labels):
        """Waits until the value is exactly `wanted`: a higher count is as wrong as a lower one."""
        wait_until(
            lambda: self.metric(name, **labels) == wanted,
            lambda: f"{name}{labels} is {self.metric(name, **labels)}, not {wanted}\n{self.output}",
        )

    # --- its process

    def rss_bytes(self):
        return self._status_bytes("VmRSS")

    def peak_rss_bytes(self):
        """The most memory that was resident since forget_peak(), or since the start."""
        return self._status_bytes("VmHWM")

    def forget_peak(self):
        Path(f"/proc/{self.child.pid}/clear_refs").write_text("5")

    def _status_bytes(self, name):
        return self._status_number(name) * 1024

    def _status_number(self, name):
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        raise AssertionError(f"no {name} for the process")

    def descriptors(self):
        return len(list(Path(f"/proc/{self.child.pid}/fd").iterdir()))

    def room_for_descriptors(self):
        """How many fit into the kernel's table for this process."""
        return self._status_number("FDSize")

    def signal(self, number):
        self.child.send_signal(number)

    def wait_exit(self, seconds=DEADLINE_SECONDS):
        """Waits for its end and returns the exit code, with all output read."""
        code = self.child.wait(seconds)
        for reader in self._readers:
            reader.join(seconds)
        return code

    def stop(self):
        """Ends it as an operator does, and checks for exit code 0 and no sanitizer's report."""
        if self.child.poll() is None:
            self.signal(signal.SIGTERM)
        for upgraded in self.log_with(message="upgraded: the new process serves"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(upgraded["pid"]), signal.SIGTERM)
        try:
            code = self.wait_exit()
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.wait_exit()
            raise AssertionError(f"did not end on SIGTERM:\n{self.output}") from None
        finally:
            self.child.stdout.close()
            self.child.stderr.close()
        assert not _SANITIZER_REPORT.search(self.output), self.output
        return code


def _parsed(line):
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
