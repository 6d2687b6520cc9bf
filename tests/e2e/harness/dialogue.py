"""Talks to a program: sends bytes to its standard input, and waits for bytes on its output."""

import subprocess
import threading

from harness.waiting import DEADLINE_SECONDS


class Dialogue:
    """A child with pipes; both its outputs are gathered in one stream. Use it in a `with`: leaving kills the child."""

    def __init__(self, *argv, **options):
        self._child = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            **options,
        )
        self._heard = bytearray()
        self._ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while chunk := self._child.stdout.read(65536):
            with self._changed:
                self._heard += chunk
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def pid(self):
        return self._child.pid

    @property
    def heard(self):
        with self._changed:
            return self._heard.decode(errors="replace")

    def say(self, text):
        self._child.stdin.write(text if isinstance(text, bytes) else text.encode())

    def end_input(self):
        self._child.stdin.close()

    def expect(self, text, count=1, seconds=DEADLINE_SECONDS):
        """Waits until `text` was heard `count` times."""
        wanted = text.encode()
        with self._changed:
            self._changed.wait_for(lambda: self._heard.count(wanted) >= count or self._ended, seconds)
        heard = self.heard
        assert heard.count(text) >= count, f"never said {text!r} {count}x:\n{heard}"

    def expect_end(self, seconds=DEADLINE_SECONDS):
        """Waits for the child's own end and returns its exit code."""
        code = self._child.wait(seconds)
        self._reader.join(seconds)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        self._reader.join(DEADLINE_SECONDS)
        self._child.stdin.close()
        self._child.stdout.close()
