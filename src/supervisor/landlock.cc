#include "supervisor/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <set>

#include "net/fd.h"

namespace headgate {
namespace {

// Rights by the version that brought them; the oldest headers that this builds with lack some of them.
constexpr std::uint64_t kExecute = 1U << 0, kWriteFile = 1U << 1;
constexpr std::uint64_t kRemoveAndMake = 0x1ff0;  // bits 4 to 12: directories, files, devices, sockets, links
constexpr std::uint64_t kReferVersion2 = 1U << 13;  // moving and linking between directories
constexpr std::uint64_t kTruncateVersion3 = 1U << 14;
constexpr std::uint64_t kDeviceControlVersion5 = 1U << 15;
/// The rights to a file; the other rights are a directory's.
constexpr std::uint64_t kOfFiles = kExecute | kWriteFile | kTruncateVersion3 | kDeviceControlVersion5;

/// The structure's first member only, which every version accepts as the whole.
struct RulesetAttributes {
  std::uint64_t handled_file_system_rights;
};

std::uint64_t rights_known_to(int version) {
  std::uint64_t rights = kExecute | kWriteFile | kRemoveAndMake;
  if (version >= 2) rights |= kReferVersion2;
  if (version >= 3) rights |= kTruncateVersion3;
  if (version >= 5) rights |= kDeviceControlVersion5;
  return rights;
}

Result<void> allow(const Fd& ruleset, const std::string& path, std::uint64_t rights) {
  const Fd place(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!place) return {};  // the path does not exist
  struct stat found{};
  if (fstat(place.number(), &found) != 0) return fail_errno("cannot look at " + path, errno);
  landlock_path_beneath_attr rule{};
  rule.allowed_access = S_ISDIR(found.st_mode) ? rights : rights & kOfFiles;
  rule.parent_fd = place.number();
  if (syscall(SYS_landlock_add_rule, ruleset.number(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) != 0) {
    return fail_errno("Landlock does not take a rule for " + path, errno);
  }
  return {};
}

/// Rules with one digest take the same rights away.
std::string digest_of_rules(const FileSystemRules& rules, std::uint64_t rights) {
  std::string text = "landlock " + std::to_string(rights);
  for (const auto* paths : {&rules.writable, &rules.executable}) {
    text += '\n';
    for (const std::string& path : std::set<std::string>(paths->begin(), paths->end())) text += path + '\0';
  }
  return digest_of(text);
}

Result<void> enter(const Fd& ruleset) {
  if (syscall(SYS_landlock_restrict_self, ruleset.number(), 0U) == 0) return {};
  if (errno != E2BIG) return fail_errno("cannot enter Landlock", errno);
  return fail(ErrorKind::kSystem,
              "Landlock takes no more rules, since upgrades have brought new ones 16 times; restart once");
}

}  // namespace

int landlock_version() {
  const long version = syscall(SYS_landlock_create_ruleset, nullptr, 0U, LANDLOCK_CREATE_RULESET_VERSION);
  return version < 0 ? 0 : static_cast<int>(version);
}

Result<void> restrict_file_system(const FileSystemRules& rules, SandboxLayers& layers) {
  const int version = landlock_version();
  if (version == 0) return fail(ErrorKind::kNotFound, "this kernel has no Landlock, or it is switched off");
  const std::uint64_t rights = rights_known_to(version);
  const std::string digest = digest_of_rules(rules, rights);
  if (layers.holds(digest)) return {};
  const RulesetAttributes attributes{rights};
  const Fd ruleset(
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0U)));
  if (!ruleset) return fail_errno("cannot make a Landlock ruleset", errno);
  for (const std::string& path : rules.writable) {
    if (auto allowed = allow(ruleset, path, rights & ~kExecute); !allowed) return allowed;
  }
  for (const std::string& path : rules.executable) {
    if (auto allowed = allow(ruleset, path, kExecute); !allowed) return allowed;
  }
  auto entered = enter(ruleset);
  if (entered) layers.add(digest);
  return entered;
}

}  // namespace headgate
