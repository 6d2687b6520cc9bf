#pragma once

#include <filesystem>
#include <optional>

namespace headgate {

/// The CPUs that this process may really use, at least 1: those the calling thread's affinity names, and no
/// more than the CPU quota of its control group or of any group above, rounded up. Two workers on a quota
/// of 1.5 CPUs are throttled a little; one would leave half a CPU unused.
[[nodiscard]] int usable_cpus();

/// The quota alone, in whole CPUs rounded up: the least along the way from this process's control group to
/// the root of its hierarchy, version 2 (cpu.max) or 1 (cpu.cfs_quota_us). nullopt where no group sets a
/// quota, or none can be read. `root` stands for "/": below it lie proc/self/cgroup, proc/self/mountinfo and
/// the mounted hierarchies.
[[nodiscard]] std::optional<int> quota_cpus(const std::filesystem::path& root);

}  // namespace headgate
