#pragma once

/// How the kernel's scheduler treats the calling thread. Each affects the caller alone and needs no
/// privilege. On a kernel that does not know it, nothing changes but that latencies are longer.
namespace headgate {

/// For a thread that others wait for and that seldom works long: asks for the shortest time slice (0.1 ms).
/// When such a thread wakes, Linux lets it interrupt one whose slice is longer, instead of waiting for the
/// end of that slice. Its priority still decides its share of the processor. sched_setattr(2), Linux 6.12 and
/// later.
void take_short_time_slices();

/// For a thread whose work can wait: a low priority (nice 10) and the usual time slice.
void work_in_background();

}  // namespace headgate
