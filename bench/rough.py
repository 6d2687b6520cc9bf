"""Rough ends for bench/soak: clients and backends that reset, truncate, half-close, stall, update keys, send alerts amid
data, and close over unread data.

A connection of this load begins with a line that says what the backend has to do. Afterwards both peers know how each of
them had to be ended (docs/ends.md): an end of another kind is a failure. An upgrade ends what cannot move, so an end that
may be one by a drain is told apart with the port of its client: the log of Headgate says which connections it drained.
"""

import contextlib
import ctypes
import fcntl
import multiprocessing
import queue
import random
import select
import signal
import socket
import struct
import termios
import threading
import time

from harness.backends import known_stream, reset_on_close
from harness.protected_records import ALERT, APPLICATION_DATA, RawClient, Tls13Sealer
from harness.tls_client import TLS12, TLS13, seen_by
from OpenSSL import SSL
from OpenSSL._util import ffi

DEADLINE_SECONDS = 30
MOST_BYTES = 60_000
MANY_BYTES = 8 << 20  # more than all buffers of a way hold
STALL_SECONDS = 0.5
CLOSE_NOTIFY, INTERNAL_ERROR = b"\1\0", b"\2\x50"
LIBRARY = ctypes.CDLL("libssl.so.3")


def known(size):
    return b"".join(known_stream(size))


def wait_delivered(connection):
    """Waits until the other kernel has acknowledged everything, or the connection is gone."""
    until = time.monotonic() + DEADLINE_SECONDS
    while struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0] and time.monotonic() < until:
        time.sleep(0.001)


# ---------------------------------------------------------------------------------------------- the backend


class Plain:
    """One connection of the backend; a broken one raises OSError."""

    def __init__(self, connection):
        self.socket, self.read_ahead = connection, b""
        connection.settimeout(DEADLINE_SECONDS)

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """The next bytes; b"" at an end in order."""
        taken, self.read_ahead = self.read_ahead, b""
        return taken or self.take()

    def take(self):
        return self.socket.recv(65536)

    def first_line(self):
        line = b""
        while b"\n" not in line:
            if not (piece := self.take()):
                raise OSError("the first line is not whole")
            line += piece
        line, _, self.read_ahead = line.partition(b"\n")
        return line.decode()

    def end(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        wait_delivered(self.socket)
        reset_on_close(self.socket)

    def close(self):
        self.socket.close()


class Tls(Plain):
    def __init__(self, connection, context):
        super().__init__(connection)
        connection.setblocking(True)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", DEADLINE_SECONDS, 0))
        self.secrets = {}
        self.tls = SSL.Connection(context, connection)
        self.tls.set_app_data(self.secrets)
        self.tls.set_accept_state()
        with self.translated():
            self.tls.do_handshake()

    @contextlib.contextmanager
    def translated(self):
        try:
            yield
        except SSL.Error as error:
            raise ConnectionResetError(str(error)) from error

    def send(self, data):
        with self.translated():
            self.tls.sendall(data)

    def take(self):
        with self.translated():
            try:
                return self.tls.recv(65536)
            except SSL.ZeroReturnError:
                return b""

    def end(self):
        with self.translated():
            self.tls.shutdown()
        self.socket.shutdown(socket.SHUT_WR)

    def update_keys(self):
        LIBRARY.SSL_key_update(ctypes.c_void_p(int(ffi.cast("uintptr_t", self.tls._ssl))), random.randrange(2))
        with self.translated():
            self.tls.do_handshake()

    def alert(self):
        """Sends a fatal alert. The connection has sent nothing else yet, and no tickets: the first record is ours."""
        sealer = Tls13Sealer(self.secrets["SERVER_TRAFFIC_SECRET_0"])
        data = sealer.seal(APPLICATION_DATA, known(1000))
        self.socket.sendall(data + sealer.seal(ALERT, INTERNAL_ERROR))
        wait_delivered(self.socket)


def server_context(pair):
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(TLS13)
    context.use_certificate_chain_file(str(pair.certificate))
    context.use_privatekey_file(str(pair.key))
    LIBRARY.SSL_CTX_set_num_tickets(ctypes.c_void_p(int(ffi.cast("uintptr_t", context._context))), ctypes.c_size_t(0))

    def note(connection, line):
        label, _, secret = line.decode().split()
        connection.get_app_data()[label] = bytes.fromhex(secret)

    context.set_keylog_callback(note)
    return context


def echo(stream, _):
    while data := stream.receive():
        stream.send(data)
    stream.end()


def resets(stream, size):
    stream.send(known(size))
    stream.reset()


def truncates(stream, size):
    stream.send(known(size))
    wait_delivered(stream.socket)  # close() sends no close_notify, but FIN, or RST if bytes are unread


def half_closes(stream, size):
    stream.send(known(size))
    stream.end()
    while stream.receive():
        pass


def closes_over_unread(stream, size):
    """The read of the first line may have taken what followed it, so the client sends more when it hears the answer."""
    stream.send(known(size))
    wait_delivered(stream.socket)
    select.select([stream.socket], [], [], DEADLINE_SECONDS)


def stalls(stream, _):
    time.sleep(STALL_SECONDS)


def updates_keys(stream, size):
    data = known(size)
    for at in range(0, size, 8000):
        stream.send(data[at : at + 8000])
        stream.update_keys()
    stream.end()
    while stream.receive():
        pass


def alerts(stream, _):
    stream.alert()


def hears_a_break(stream, size):
    """The client breaks off: raises where the backend is told of an end in order."""
    try:
        stream.send(known(size))
        while stream.receive():
            pass
    except OSError:
        return
    raise AssertionError("the client broke off, and the backend saw an end in order")


VERBS = {verb.__name__: verb for verb in (
    echo, resets, truncates, half_closes, closes_over_unread, stalls, updates_keys, alerts, hears_a_break,
)}


class Backend:
    """Serves on two listening sockets, plain and TLS, in a process of its own."""

    def __init__(self, pair):
        self.listeners = [socket.create_server(("127.0.0.1", 0), backlog=1024) for _ in range(2)]
        self.ports = [listener.getsockname()[1] for listener in self.listeners]
        self.told = multiprocessing.Queue()
        self.process = multiprocessing.Process(target=self._run, args=(pair,), daemon=True)
        self.process.start()

    def _run(self, pair):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        context = server_context(pair)
        threading.Thread(target=self._accept, args=(self.listeners[0], Plain), daemon=True).start()
        self._accept(self.listeners[1], lambda connection: Tls(connection, context))

    def _accept(self, listener, wrap):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self._serve, args=(connection, wrap), daemon=True).start()

    def _serve(self, connection, wrap):
        began = time.monotonic()
        port = None
        try:
            stream = wrap(connection)
            verb, size, port = stream.first_line().split()
            VERBS[verb](stream, int(size))
            stream.close()
        except AssertionError as failure:
            self.told.put((int(port), str(failure)))
        except OSError:  # a client of this load has broken off
            if port and time.monotonic() - began >= DEADLINE_SECONDS:
                self.told.put((int(port), "the client ended, and the backend saw no end"))
        finally:
            connection.close()

    def doubtful(self):
        """(port of the client, what) of the ends that were none of a client that broke off."""
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self.told.get(timeout=0.2))
        return found


# ---------------------------------------------------------------------------------------------- the clients


class Client(RawClient):
    """A client that begins with the line which tells the backend what to do."""

    def __init__(self, port, verb, size=0, version=TLS13):
        super().__init__(port, sni="soak.test", version=version)
        self.later = b""
        self.port = self.socket.getsockname()[1]
        self.say(f"{verb.__name__} {size} {self.port}\n".encode())

    def recv(self, size=65536):
        """As its base's. Then says `later`, once: a backend that has begun to answer reads no more."""
        data = super().recv(size)
        if self.later:
            self.say(self.later)
            self.later = b""
        return data

    def say(self, data):
        self.send_records(*(self.sealer.seal(APPLICATION_DATA, data[at : at + 16384]) for at in range(0, len(data), 16384)))

    def notify(self):
        self.send_records(self.sealer.seal(ALERT, CLOSE_NOTIFY))

    def fin(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)


def any_size():
    return random.randrange(1, MOST_BYTES)


def any_version():
    return random.choice([TLS12, TLS13])


def answered(verb, end, size=None):
    """A client whose backend does `verb`: (its port, what it sees, what it should see)."""

    def live(port):
        wanted = any_size() if size is None else size
        with Client(port, verb, wanted, any_version()) as client:
            client.say(bytes(random.randrange(1000)))
            if verb is closes_over_unread:
                client.later = b"unread"
            seen = seen_by(client)
            client.notify()
            return client.port, seen, (known(wanted), end)

    return live


def echoed(ending, between=lambda client: None, version=any_version):
    """A client that gets everything back although it ends in a way of its own."""

    def live(port):
        with Client(port, echo, 0, version()) as client:
            data = known(any_size())
            for at in range(0, len(data), 7000):
                client.say(data[at : at + 7000])
                between(client)
            ending(client)
            return client.port, seen_by(client), (data, "in order")

    return live


def in_order(client):
    client.notify()
    client.fin()


def breaks(ending):
    """A client that breaks off; the backend says whether it noticed."""

    def live(port):
        with Client(port, hears_a_break, 0, any_version()) as client:
            client.say(known(any_size()))
            time.sleep(random.choice([0, 0.01]))
            ending(client)
            client.wait_transport_end()
        return client.port, None, None

    return live


def client_resets(port):
    client = Client(port, hears_a_break, 0, any_version())
    client.say(known(any_size()))
    time.sleep(random.choice([0, 0.01]))
    client.reset()
    return client.port, None, None


def tears(client):
    client.send_records(client.sealer.seal(APPLICATION_DATA, b"the last record")[:-1])
    client.fin()


def alerts_amid_data(client):
    seal = client.sealer.seal
    client.send_records(seal(APPLICATION_DATA, b"some data"), seal(ALERT, INTERNAL_ERROR), seal(APPLICATION_DATA, b"more"))


def client_closes_over_unread(port):
    client = Client(port, hears_a_break, any_size(), any_version())
    select.select([client.socket], [], [], DEADLINE_SECONDS)
    client.close()
    return client.port, None, None


def client_stalls(port):
    with Client(port, hears_a_break, MANY_BYTES, any_version()) as client:
        time.sleep(STALL_SECONDS)
        client.reset()
    return client.port, None, None


def backend_stalls(port):
    with Client(port, stalls, 0, any_version()) as client:
        client.socket.settimeout(STALL_SECONDS)
        with contextlib.suppress(OSError):
            for _ in range(MANY_BYTES // 16384):
                client.say(bytes(16384))
        client.reset()
    return client.port, None, None


PLAIN, TLS = 0, 1  # listeners, by how they speak to the backend
BOTH = (PLAIN, TLS)
KINDS = {
    "client resets": (BOTH, client_resets),
    "client ends inside a record": (BOTH, breaks(tears)),
    "client sends an alert amid data": (BOTH, breaks(alerts_amid_data)),
    "client closes over unread data": (BOTH, client_closes_over_unread),
    "client stalls": (BOTH, client_stalls),
    "client ends without close_notify": (BOTH, echoed(Client.fin)),
    "client half-closes": (BOTH, echoed(in_order)),
    "client updates its keys": (BOTH, echoed(
        in_order, lambda client: client.send_records(client.sealer.key_update()), lambda: TLS13)),
    "backend resets": (BOTH, answered(resets, "cut short")),
    "backend closes over unread data": (BOTH, answered(closes_over_unread, "cut short")),
    "backend half-closes": (BOTH, answered(half_closes, "in order")),
    "backend stalls": (BOTH, backend_stalls),
    "backend ends without close_notify": ((TLS,), answered(truncates, "cut short")),
    "backend updates its keys": ((TLS,), answered(updates_keys, "in order")),
    "backend sends an alert": ((TLS,), answered(alerts, "cut short", size=1000)),
}


def is_of_a_drain(seen, wanted):
    """Whether an end may be that of a drain: in order while at rest, an alert at its deadline."""
    return wanted[0].startswith(seen[0]) and seen[1] in ("in order", "cut short", "tlsv1 alert internal error")


def rough(ports, over, tally, pause):
    """Ends of all kinds, over and over. tally.done counts them by kind; tally.times has (port of the client, what) of those
    that only a drain explains."""
    while not over.is_set():
        kind = random.choice(list(KINDS))
        ways, live = KINDS[kind]
        try:
            port, seen, wanted = live(ports[random.choice(ways)])
            with tally.lock:
                tally.done[kind] = tally.done.get(kind, 0) + 1
            if seen == wanted:
                continue
            what = f"{len(seen[0])} of {len(wanted[0])} bytes and then {seen[1]}, not {wanted[1]}"
            if is_of_a_drain(seen, wanted):
                tally.times.append((port, f"{kind}: {what}"))
            else:
                tally.failed(kind, what)
        except Exception as failure:  # noqa: BLE001
            tally.failed(kind, failure)
        time.sleep(pause)
