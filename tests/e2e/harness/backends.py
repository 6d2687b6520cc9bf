"""Backends of a known behaviour, each in threads of the test's own process."""

import hashlib
import selectors
import socket
import struct
import threading

from harness.waiting import DEADLINE_SECONDS, wait_until

CHUNK_BYTES = 64 * 1024


class Backend:
    """Accepts `at` a port (or at a unix socket) of its own and gives each connection to `serve(socket)` in a thread.

    `accepted` counts connections. `failures` holds the exceptions that `serve` raised, those of broken connections
    aside.
    """

    def __init__(self, serve, path=None, backlog=4096, wrap=None, at=("127.0.0.1", 0)):
        self._serve = serve
        self._wrap = wrap
        self.accepted = 0
        self.failures = []
        self._open = set()
        self._closing = False
        self._lock = threading.Lock()
        if path:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self.address = f"unix:{path}"
        else:
            self._listener = socket.socket(socket.AF_INET6 if ":" in at[0] else socket.AF_INET)
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind(at)
            host, port = self._listener.getsockname()[:2]
            self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._listener.listen(backlog)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def port(self):
        return int(self.address.rsplit(":", 1)[1])

    @property
    def open(self):
        """Returns the number of connections that are being served now."""
        with self._lock:
            return len(self._open)

    def wait_open(self, count):
        wait_until(lambda: self.open == count, lambda: f"{self.open} connections are open at the backend, not {count}")

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.accepted += 1
                self._open.add(connection)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        served = connection
        try:
            if self._wrap:
                served = self._wrap(connection)
            self._serve(served)
        except OSError:
            pass  # The test looks at how the other side ends the connection.
        except Exception as failure:  # noqa: BLE001  kept for the test to see
            self.failures.append(failure)
        finally:
            with self._lock:
                self._open.discard(connection)
            served.close()

    def close(self):
        # shutdown() wakes the thread that is in accept(); close() alone leaves it and the port there.
        with self._lock:
            if self._closing:
                return
            self._closing = True
            connections = list(self._open)
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._thread.join(DEADLINE_SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class GoesAndComes:
    """A server on the unix socket `path`, which a test brings and takes away. `start` is the fixture `backend`."""

    def __init__(self, start, serve, path):
        self._start = start
        self._serve = serve
        self._path = path
        self._server = None
        self.address = f"unix:{path}"

    def come(self):
        self._server = self._start(self._serve, path=self._path)

    def go(self):
        self._server.close()
        self._path.unlink()


class ManyEcho:
    """An echo for thousands of connections: one thread for all of them."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=8192)
        self._listener.setblocking(False)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._wake, waker = socket.socketpair()
        self._selector.register(waker, selectors.EVENT_READ)
        self._waker = waker
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._waker:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._echo(key.fileobj)

    def _accept(self):
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ)

    def _echo(self, connection):
        try:
            chunk = connection.recv(CHUNK_BYTES)
            if chunk:
                connection.sendall(chunk)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._selector.unregister(connection)
        connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._wake.send(b".")
        self._thread.join(DEADLINE_SECONDS)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._wake.close()
        self._selector.close()


# --- behaviours


def echo(connection):
    """Sends back the bytes that come, and ends when the client ends."""
    while chunk := connection.recv(CHUNK_BYTES):
        connection.sendall(chunk)


def reset(connection):
    """Waits for a first byte and resets the connection."""
    connection.recv(1)
    reset_on_close(connection)


def silent(connection):
    """Reads and never answers; ends when the client ends."""
    while connection.recv(CHUNK_BYTES):
        pass


def http_ok(connection):
    """Answers each HTTP/1.1 request without a body with the request's own first line."""
    pending = b""
    while chunk := connection.recv(CHUNK_BYTES):
        pending += chunk
        while b"\r\n\r\n" in pending:
            head, pending = pending.split(b"\r\n\r\n", 1)
            body = head.split(b"\r\n", 1)[0] + b"\n"
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def saying(greeting):
    """A behaviour that sends `greeting`, ends its direction, and waits for the client's end."""

    def serve(connection):
        connection.sendall(greeting)
        connection.shutdown(socket.SHUT_WR)
        silent(connection)

    return serve


def greeting_then_echo(greeting):
    """A behaviour that names itself first."""

    def serve(connection):
        connection.sendall(greeting)
        echo(connection)

    return serve


def source(size_bytes):
    """A behaviour that sends the first `size_bytes` of the known stream and ends."""

    def serve(connection):
        for chunk in known_stream(size_bytes):
            connection.sendall(chunk)
        connection.shutdown(socket.SHUT_WR)
        silent(connection)

    return serve


def endless_source(connection):
    """Sends for as long as the client takes the bytes."""
    chunk = bytes(CHUNK_BYTES)
    while True:
        connection.sendall(chunk)


def digest_sink(connection):
    """Reads to the end and answers with the SHA-256 of the bytes that came, in hexadecimal."""
    digest = hashlib.sha256()
    while chunk := connection.recv(CHUNK_BYTES):
        digest.update(chunk)
    connection.sendall(digest.hexdigest().encode())


def recording(received, answer=b""):
    """A behaviour that appends each chunk it reads to the bytearray `received` and answers once with `answer`."""

    def serve(connection):
        said = False
        while chunk := connection.recv(CHUNK_BYTES):
            received.extend(chunk)
            if not said and answer:
                said = True
                connection.sendall(answer)

    return serve


def reset_on_close(connection):
    """Makes close() send RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# --- bytes whose order can be checked

_BLOCK = hashlib.shake_256(b"headgate").digest(CHUNK_BYTES - 7)  # odd, so that no boundary repeats


def known_stream(size_bytes):
    """The known stream, in chunks: no two places of a chunk's length look alike to a digest."""
    sent = 0
    counter = 0
    while sent < size_bytes:
        chunk = counter.to_bytes(8, "big") + _BLOCK
        chunk = chunk[: size_bytes - sent]
        yield chunk
        sent += len(chunk)
        counter += 1


def known_digest(size_bytes):
    """The SHA-256 of the known stream in hexadecimal."""
    digest = hashlib.sha256()
    for chunk in known_stream(size_bytes):
        digest.update(chunk)
    return digest.hexdigest()


class Refusing:
    """An address that refuses connections: bound, so that no other process gets it, and never listening."""

    def __init__(self):
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Deaf:
    """An address whose connections are never accepted nor refused: its queue is full."""

    def __init__(self):
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self._listener.getsockname())
            self._fillers.append(filler)

    def close(self):
        for one in [*self._fillers, self._listener]:
            one.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
