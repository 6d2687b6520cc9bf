"""A client that never stops connecting: it sees whether a moment comes in which no process accepts."""

import threading

from harness.tls_client import connect


class Knocking:
    """A client that connects, sends a word and leaves, over and over; `failures` holds its errors."""

    def __init__(self, port):
        self.port, self.count, self.failures = port, 0, []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._over.is_set():
            try:
                with connect(self.port) as client:
                    client.exchange(b"knock")
                self.count += 1
            except Exception as failure:  # noqa: BLE001  every kind is a connection lost
                self.failures.append(repr(failure))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join(30)
