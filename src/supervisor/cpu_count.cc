#include "supervisor/cpu_count.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "base/cpu_set.h"

namespace headgate {
namespace {

namespace fs = std::filesystem;

/// A mounted control group hierarchy that has the CPU controller: its mount point, and the group at that
/// point.
struct Hierarchy {
  enum class Version { kOne, kTwo } version;
  fs::path mount_point;
  fs::path mounted_group;
};

bool lists(const std::string& comma_separated, std::string_view word) {
  std::istringstream words(comma_separated);
  for (std::string each; std::getline(words, each, ',');) {
    if (each == word) return true;
  }
  return false;
}

/// One line of proc/self/mountinfo, if it is such a hierarchy (proc_pid_mountinfo(5)).
std::optional<Hierarchy> parse_mount(const std::string& line) {
  std::istringstream words(line);
  std::string id, parent, device, group, mount_point, word, kind, source, options;
  words >> id >> parent >> device >> group >> mount_point;
  while (words >> word && word != "-") {
  }
  words >> kind >> source >> options;
  if (kind == "cgroup2") return Hierarchy{Hierarchy::Version::kTwo, mount_point, group};
  if (kind == "cgroup" && lists(options, "cpu"))
    return Hierarchy{Hierarchy::Version::kOne, mount_point, group};
  return std::nullopt;
}

/// The group of this process in the hierarchy of `version`, as proc/self/cgroup names it:
/// "ID:CONTROLLERS:GROUP".
std::optional<fs::path> own_group(const fs::path& root, Hierarchy::Version version) {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    std::istringstream parts(line);
    std::string id, controllers, group;
    std::getline(parts, id, ':');
    std::getline(parts, controllers, ':');
    std::getline(parts, group);
    const bool wanted =
        version == Hierarchy::Version::kTwo ? id == "0" && controllers.empty() : lists(controllers, "cpu");
    if (wanted && !group.empty()) return group;
  }
  return std::nullopt;
}

std::optional<double> quota_of(const fs::path& directory, Hierarchy::Version version) {
  double quota = 0, period = 0;
  if (version == Hierarchy::Version::kTwo) {
    std::ifstream(directory / "cpu.max") >> quota >> period;  // "max 100000" leaves both 0
  } else {
    std::ifstream(directory / "cpu.cfs_quota_us") >> quota;  // -1: none
    std::ifstream(directory / "cpu.cfs_period_us") >> period;
  }
  if (quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

/// The least quota from `hierarchy`'s top down to the group of this process.
std::optional<double> least_quota(const fs::path& root, const Hierarchy& hierarchy) {
  const auto group = own_group(root, hierarchy.version);
  if (!group) return std::nullopt;
  // A container may see only its own part of the hierarchy: then the way starts at the mounted group. A group
  // outside of the mount cannot be reached, and then only the top of the mount can be read.
  fs::path way = group->lexically_relative(hierarchy.mounted_group);
  if (way.empty() || *way.begin() == "..") way = ".";
  fs::path directory = root / hierarchy.mount_point.relative_path();
  std::optional<double> least = quota_of(directory, hierarchy.version);
  for (const fs::path& step : way) {
    directory /= step;
    const auto quota = quota_of(directory, hierarchy.version);
    if (quota && (!least || *quota < *least)) least = quota;
  }
  return least;
}

}  // namespace

std::optional<int> quota_cpus(const fs::path& root) {
  std::optional<int> least;
  std::ifstream mounts(root / "proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const auto hierarchy = parse_mount(line);
    const auto quota = hierarchy ? least_quota(root, *hierarchy) : std::nullopt;
    if (!quota) continue;
    // A rounding error above a whole number is no reason for one more worker.
    const int cpus = std::max(1, static_cast<int>(std::ceil(*quota - 0.001)));
    least = std::min(least.value_or(cpus), cpus);
  }
  return least;
}

int usable_cpus() {
  const int cpus = std::max(1, CpuSet::of_this_thread().count());
  return std::min(cpus, quota_cpus("/").value_or(cpus));
}

}  // namespace headgate
