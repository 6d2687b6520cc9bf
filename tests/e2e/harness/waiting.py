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


def wait_until_quick(attempt, seconds):
    """Repeats `attempt()`, which returns the seconds that it took, until most of the last five took less than `seconds`: a
    busy machine holds up some of them."""
    took = []

    def is_quick():
        took.append(attempt())
        return len(took) >= 5 and sorted(took[-5:])[2] < seconds

    wait_until(is_quick, lambda: f"most took {seconds} s and more: {took}", 3 * DEADLINE_SECONDS)
