"""Waits for an event that happens elsewhere, with a deadline."""

import time

# This is generous, since a loaded machine or a sanitizer build is slow. A test that passes never waits that long.
DEADLINE_SECONDS = 30


def wait_until(condition, what, seconds=DEADLINE_SECONDS):
    """Returns the first true answer of `condition()`; fails with `what` (text or a function) when no answer is true in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain: {what() if callable(what) else what}")
        time.sleep(0.01)
