#pragma once

#include "base/result.h"
#include "supervisor/sandbox_layers.h"

namespace headgate {

/// From now on every thread of the process, the processes that they start and the programs that these become
/// are refused (EPERM) the system calls that attackers need and no proxy does: looking into other processes,
/// mounting, name spaces, kernel modules, BPF, io_uring, kernel keys, clocks, raw sockets, sockets other
/// than IP, unix and netlink. All others stay: OpenSSL, the C library and the program that an upgrade starts
/// may use calls that today's do not. Needs no_new_privs. Cannot be undone. Every filter costs each system
/// call time, so the call does nothing where `layers` holds the same filter, and adds its own to `layers`.
/// Errors: kSystem, where the kernel has no seccomp filters.
[[nodiscard]] Result<void> filter_system_calls(SandboxLayers& layers);

}  // namespace headgate
