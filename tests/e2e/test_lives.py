"""Random lives of connections through the real binary, with reloads and an upgrade in the middle.

A life is made of one seed; the test prints the seeds of the lives that differ. HEADGATE_LIFE_SEED=N lives that one
alone, HEADGATE_LIVES=N so many. tests/lives does the same in one process, a thousand times faster and without a kernel.
"""

import fcntl
import os
import random
import select
import signal
import socket
import struct
import termios
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from OpenSSL import SSL

from harness.backends import Backend, reset_on_close
from harness.config import proxy
from harness.tls_client import TLS12, TlsClient
from harness.waiting import DEADLINE_SECONDS, wait_until

# How a client speaks: the listener, and the version of TLS.
_KINDS = {"records": ("web", None), "tls13": ("openssl", None), "tls12": ("web", TLS12), "plain": ("plain", None)}
_NAME_BYTES = 8


def _unacknowledged(connection):
    answer = fcntl.ioctl(connection, termios.TIOCOUTQ, struct.pack("i", 0))
    return struct.unpack("i", answer)[0]


class Peer:
    """One end of a life: sends, reads, ends, and remembers what it has seen."""

    def __init__(self, name, connection, tls=None):
        self.name, self.connection, self.tls = name, connection, tls
        self.told = self.seen = None
        self.sent, self.received = bytearray(), bytearray()
        self.reading = True
        self._reset_by_write = False
        self._out, self._fin = bytearray(), False
        connection.setblocking(False)

    def send(self, data):
        if self.told:
            return
        self.sent += data
        if not self.tls:
            self._out += data
            return
        for begin in range(0, len(data), 16384):
            self.tls.tls.send(data[begin : begin + 16384])
            self._out += self.tls.produced()

    def end(self, notice=True):
        if self.told:
            return
        self.told = "in order" if notice or not self.tls else "no notice"
        if notice and self.tls:
            try:
                self.tls.tls.shutdown()
            except SSL.Error:
                pass
            self._out += self.tls.produced()
        self._fin = True

    def reset(self):
        self.told = self.told if self.told == "in order" else "reset"
        reset_on_close(self.connection)
        self.connection.close()
        self.seen = self.seen or "gone"

    @property
    def has_left(self):
        return self.connection.fileno() < 0

    @property
    def all_arrived(self):
        """Headgate's kernel has everything."""
        return self.has_left or (not self._out and _unacknowledged(self.connection) == 0)

    def wants(self):
        """What to wait for: (to read, to write)."""
        return self.reading and not self.seen, bool(self._out or self._fin)

    def write(self):
        try:
            while self._out:
                del self._out[: self.connection.send(self._out)]
            if self._fin:
                self._fin = False
                self.connection.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError as error:  # the kernel tells of a reset once; of anything else reading tells
            if isinstance(error, ConnectionResetError):
                self._reset_by_write = True
            self._out.clear()
            self._fin = False

    def read(self):
        try:
            raw = self.connection.recv(65536)
        except BlockingIOError:
            return
        except ConnectionResetError:
            self.seen = "reset"
            return
        if not raw and self._reset_by_write:
            self.seen = "reset"
            return
        if not self.tls:
            self.received += raw
            self.seen = None if raw else "in order"
            return
        if raw:
            self.tls.tls.bio_write(raw)
        notice = self._open_records()
        if not raw:
            self.seen = notice

    def _open_records(self):
        while True:
            try:
                self.received += self.tls.tls.recv(65536)
            except SSL.WantReadError:
                self._out += self.tls.produced()  # the answer to a KeyUpdate
                return "no notice"
            except SSL.ZeroReturnError:
                return "in order"
            except SSL.Error as error:
                return f"alert {error}"


class Life:
    """One connection's life, of one seed."""

    def __init__(self, seed):
        self.seed = seed
        self.choice = random.Random(seed)
        self.kind = self.choice.choice(sorted(_KINDS))
        self.deeds = []

    def live(self, crowd):
        """Lives it; returns what differs from the model, as a text, or None."""
        self._connect(crowd)
        try:
            for _ in range(self.choice.randrange(1, 12)):
                self._deed()
            self._end()
            self._run(lambda: self.client.seen and self.backend.seen, DEADLINE_SECONDS)
            return self._difference(crowd)
        finally:
            for peer in (self.client, self.backend):
                peer.connection.close()

    def _connect(self, crowd):
        listener, version = _KINDS[self.kind]
        port = crowd.port(listener)
        name = struct.pack("!Q", self.seed)
        if self.kind == "plain":
            connection, tls = socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS), None
        else:
            tls = TlsClient(port, version=version)
            tls.handshake()
            connection = tls.socket
        if self.choice.randrange(3) == 0:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.source = "127.0.0.1:%d" % connection.getsockname()[1]
        self.client = Peer("client", connection, tls)
        self.client.send(name)
        self.client.write()
        self.backend = Peer("backend", crowd.accepted(name))
        self.backend.received += name

    def _deed(self):
        choice = self.choice
        peer = choice.choice((self.client, self.backend))
        act = choice.choice(("send",) * 6 + ("pause", "stop reading", "go on reading", "go on reading"))
        amount = choice.choice((1, 100, 3000, 20_000, 150_000)) if act == "send" else choice.randrange(1, 60)
        self.deeds.append(f"{peer.name} {act} {amount}")
        if act == "send":
            peer.send(choice.randbytes(amount))
        elif act == "pause":
            self._run(lambda: False, amount / 1000)
        else:
            peer.reading = act == "go on reading"
        if choice.randrange(2):
            self._run(lambda: not any(one.wants()[1] for one in (self.client, self.backend)), 0.05)

    def _end(self):
        """Each side ends in order, or roughly; the second one may end only when the first end has been told."""
        choice = self.choice
        first, second = choice.sample((self.client, self.backend), 2)
        for peer in (first, second):
            how = choice.choice(("in order", "in order", "reset", "no notice"))
            self.deeds.append(f"{peer.name} ends {how}")
            if how == "reset":
                self.client.reading = self.backend.reading = True
                self._run(lambda peer=peer: peer.all_arrived, DEADLINE_SECONDS)
                peer.reset()
                return
            peer.end(notice=how == "in order")
            if choice.randrange(2):
                self._run(lambda: False, 0.02)
        self.client.reading = self.backend.reading = True

    def _run(self, until, seconds):
        deadline = time.monotonic() + seconds
        while not until() and time.monotonic() < deadline:
            peers = [one for one in (self.client, self.backend) if not one.has_left]
            read = [one.connection for one in peers if one.wants()[0]]
            write = [one.connection for one in peers if one.wants()[1]]
            ready = select.select(read, write, [], min(0.01, seconds))
            for one in peers:
                if one.connection in ready[0]:
                    one.read()
                if one.connection in ready[1]:
                    one.write()

    # --- the model

    def _difference(self, crowd):
        found = [self._difference_of(*pair, crowd) for pair in ((self.client, self.backend), (self.backend, self.client))]
        found = [one for one in found if one]
        if not found:
            return None
        reason = crowd.reason(self.source)
        return "\n  ".join([f"life {self.seed} ({self.kind}, ended as {reason})", *self.deeds, *found])

    def _difference_of(self, peer, other, crowd):
        sent = bytes(other.sent)
        if not sent.startswith(bytes(peer.received)):
            return f"{peer.name}: bytes that were not sent"
        if peer.has_left:
            return None
        ended = other.told == "in order" or (other.told == "no notice" and peer.name == "backend")
        expected = "in order" if ended else "no notice" if peer.tls else "reset"
        whole = len(peer.received) == len(sent)
        if peer.seen == expected and whole:
            return None
        if crowd.reason(self.source) == "drained" and peer.seen in ("in order", "reset", "no notice"):
            return None  # the old process ended what it could not hand over
        return f"{peer.name}: {len(peer.received)} of {len(sent)} bytes, seen {peer.seen}, expected {expected}"


class Crowd:
    """A Headgate, its backend, and many lives between them."""

    def __init__(self, start, certificate):
        self._accepted, self._changed = {}, threading.Condition()
        self.backend = Backend(self._serve)
        config = proxy(self.backend.address, certificate, drain={"deadline": "60s"}, sandbox=False)
        web = config["listeners"][0]
        web["timeouts"] = {"shutdown": "20s"}
        openssl = {**web, "name": "openssl", "tls": {**web["tls"], "record_layer": "openssl"}}
        plain = {key: value for key, value in web.items() if key != "tls"} | {"name": "plain"}
        config["listeners"] = [web, openssl, plain]
        self.config = config
        self.headgate = start(config)
        self.pid = self.headgate.child.pid
        self._ports = {name: self.headgate.port(name) for name in ("web", "openssl", "plain")}

    def _serve(self, connection):
        name = b""
        while len(name) < _NAME_BYTES:
            piece = connection.recv(_NAME_BYTES - len(name))
            if not piece:
                return
            name += piece
        with self._changed:
            self._accepted[name] = connection.dup()
            self._changed.notify_all()

    def port(self, listener):
        return self._ports[listener]

    def accepted(self, name):
        with self._changed:
            assert self._changed.wait_for(lambda: name in self._accepted, DEADLINE_SECONDS), "the backend was not reached"
            return self._accepted.pop(name)

    def reason(self, source):
        """Why the connection from `source` ended, as the log has it."""
        wait_until(lambda: self.headgate.log_with(message="connection ended", source=source), f"no end of {source}")
        return self.headgate.log_with(message="connection ended", source=source)[-1]["reason"]

    def reload(self):
        os.kill(self.pid, signal.SIGHUP)

    def upgrade(self):
        count = len(self.headgate.log_with(message="upgraded: the new process serves")) + 1
        os.kill(self.pid, signal.SIGUSR2)
        wait_until(
            lambda: len(self.headgate.log_with(message="upgraded: the new process serves")) == count,
            lambda: self.headgate.output,
        )
        self.pid = int(self.headgate.log_with(message="upgraded: the new process serves")[-1]["pid"])

    def live(self, lives, meanwhile=lambda done: None):
        """Lives them, some at a time; calls `meanwhile` with the number that is over. Returns the differences."""
        found, over = [], 0
        with ThreadPoolExecutor(8) as threads:
            for difference in threads.map(lambda life: life.live(self), lives):
                over += 1
                meanwhile(over)
                if difference:
                    found.append(difference)
        return found

    def close(self):
        if self.pid != self.headgate.child.pid:
            os.kill(self.pid, signal.SIGTERM)
            for reader in self.headgate._readers:
                reader.join(DEADLINE_SECONDS)
        self.backend.close()


@pytest.fixture
def crowd(start, certificate):
    one = Crowd(start, certificate)
    yield one
    one.close()


def _lives(count):
    if seed := os.environ.get("HEADGATE_LIFE_SEED"):
        return [Life(int(seed))]
    return [Life(seed) for seed in range(1, int(os.environ.get("HEADGATE_LIVES", count)) + 1)]


def test_random_lives_end_as_the_table_of_ends_says(crowd):
    differences = crowd.live(_lives(150))
    assert not differences, "\n".join(differences)


def test_random_lives_see_no_reload_and_no_upgrade(crowd):
    lives = _lives(150)

    def meanwhile(over):
        if over % 10 == 0:
            crowd.reload()
        if over == len(lives) // 2:
            crowd.upgrade()

    differences = crowd.live(lives, meanwhile)
    assert not differences, "\n".join(differences)
