"""A kernel without something: a system call that fails in a process and in all that it starts."""

import ctypes
import os
import platform
import struct

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_NUMBERS = {
    "socket": {"x86_64": 41, "aarch64": 198},
    "landlock_create_ruleset": {"x86_64": 444, "aarch64": 444},
}
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 22, 38, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _FAIL_WITH = 0x7FFF0000, 0x00050000

can_refuse_calls = platform.machine() in _ARCHITECTURES


def refuse_call(name, error, first_argument=None):
    """Makes the call fail with `error`, always or with that first argument alone. For a `preexec_fn`."""
    conditions = [(4, _ARCHITECTURES[platform.machine()]), (0, _NUMBERS[name][platform.machine()])]
    if first_argument is not None:
        conditions.append((16, first_argument))
    steps = []
    for at, (offset, wanted) in enumerate(conditions):
        to_allow = 2 * (len(conditions) - at - 1) + 1
        steps += [(_LOAD, 0, 0, offset), (_JUMP_IF_EQUAL, 0, to_allow, wanted)]
    steps += [(_RETURN, 0, 0, _FAIL_WITH | error), (_RETURN, 0, 0, _ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    address = ctypes.c_ulong(ctypes.addressof(program))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, address, 0, 0):
        os._exit(99)
