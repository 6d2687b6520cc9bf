"""Which thread goes first where threads share a processor."""

import ctypes
import os
import platform
import struct
from pathlib import Path

import pytest

from harness.config import proxy
from harness.tls_client import connect

SYS_SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}
SHORTEST_SLICE_NS = 100_000
KERNEL = tuple(int(part) for part in platform.release().split(".")[:2])


def scheduling_of(thread):
    """Its nice value and time slice in nanoseconds, sched_getattr(2)."""
    attributes = ctypes.create_string_buffer(48)
    libc = ctypes.CDLL(None, use_errno=True)
    number = SYS_SCHED_GETATTR[platform.machine()]
    assert libc.syscall(number, thread, attributes, len(attributes), 0) == 0, os.strerror(ctypes.get_errno())
    _size, _policy, _flags, nice, _priority, slice_ns = struct.unpack_from("IIQiIQ", attributes)
    return nice, slice_ns


def threads(process):
    tasks = Path(f"/proc/{process}/task").iterdir()
    return {(task / "comm").read_text().strip(): int(task.name) for task in tasks}


@pytest.mark.skipif(platform.machine() not in SYS_SCHED_GETATTR, reason="the system call's number is not known")
def test_the_loop_may_interrupt_the_thread_of_rsa_signatures(start, backend, rsa_certificate):
    headgate = start(proxy(backend().address, rsa_certificate, workers=1))
    with connect(headgate.port()) as client:
        client.exchange(b"x")
    found = threads(headgate.child.pid)
    own_nice = os.nice(0)
    loop_nice, loop_slice_ns = scheduling_of(found["worker-0"])
    slow_nice, slow_slice_ns = scheduling_of(found["worker-0-rsa"])
    assert (loop_nice, slow_nice) == (own_nice, max(own_nice, 10))
    if KERNEL >= (6, 12):
        assert loop_slice_ns == SHORTEST_SLICE_NS
        assert slow_slice_ns > SHORTEST_SLICE_NS
