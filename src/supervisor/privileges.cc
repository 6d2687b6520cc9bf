#include "supervisor/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string>

#include "base/secret_text.h"

namespace headgate {
namespace {

/// The user and group to become. `user_name` is for the supplementary groups; empty: the user is a number
/// without an entry, and has none.
struct Identity {
  uid_t user = 0;
  gid_t group = 0;
  std::string user_name;
};

/// The system calls read this number as "no change", so no user and no group has it.
constexpr unsigned kNoChange = ~0U;

std::optional<unsigned> as_number(const std::string& text) {
  unsigned number = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stopped != end || number == kNoChange) return std::nullopt;
  return number;
}

/// A user without an entry has no group of its own. The number of the user serves as one, unless that is a
/// group of others: nobody asked for the rights of such a group, nor for those of the group of the start.
Result<void> take_group_of_same_number(Identity& identity) {
  identity.group = identity.user;
  const group* others = getgrgid(identity.group);
  if (others == nullptr) return {};
  const std::string number = std::to_string(identity.user);
  return fail(ErrorKind::kNotFound, "there is no entry for user " + number +
                                        ", so its group is not known, and group " + number + " is \"" +
                                        others->gr_name + "\"; set `group` too");
}

tl::unexpected<Error> no_entry(const std::string& kind, const std::string& name) {
  return fail(ErrorKind::kNotFound,
              "there is no " + kind + " \"" + without_secrets(name) + "\"; create it or correct the name");
}

/// `group_given`: another group will replace the one found here.
Result<void> find_user(const std::string& user, bool group_given, Identity& identity) {
  const auto number = as_number(user);
  const passwd* entry = number ? getpwuid(*number) : getpwnam(user.c_str());
  if (entry != nullptr) {
    identity = {entry->pw_uid, entry->pw_gid, entry->pw_name};
    return {};
  }
  if (!number) return no_entry("user", user);
  identity = {*number, getegid(), ""};
  return group_given ? Result<void>() : take_group_of_same_number(identity);
}

Result<void> find_group(const std::string& group, Identity& identity) {
  const auto number = as_number(group);
  const struct group* entry = number ? nullptr : getgrnam(group.c_str());
  if (!number && entry == nullptr) return no_entry("group", group);
  identity.group = number ? *number : entry->gr_gid;
  return {};
}

bool is_already(const Identity& identity) {
  uid_t real = 0, effective = 0, saved = 0;
  gid_t real_group = 0, effective_group = 0, saved_group = 0;
  getresuid(&real, &effective, &saved);
  getresgid(&real_group, &effective_group, &saved_group);
  return identity.user != 0 && real == identity.user && effective == identity.user &&
         saved == identity.user && real_group == identity.group && effective_group == identity.group &&
         saved_group == identity.group;
}

tl::unexpected<Error> refused(const Identity& identity, int error_number) {
  const std::string who =
      "user " + std::to_string(identity.user) + ", group " + std::to_string(identity.group);
  if (error_number != EPERM) return fail_errno("cannot become " + who, error_number);
  return fail(ErrorKind::kRefused,
              "cannot become " + who + ": this process runs as user " + std::to_string(geteuid()) +
                  " without the right to change (CAP_SETUID, CAP_SETGID); start it as root, or "
                  "remove `user` and `group` and start it as that user");
}

/// Whether a user other than root could become root again: then the privileges were not dropped.
bool can_regain(const Identity& identity) {
  return identity.user != 0 && (setresuid(0, 0, 0) == 0 || seteuid(0) == 0);
}

Result<void> check_that_nothing_comes_back(const Identity& identity) {
  if (!can_regain(identity)) return {};
  return fail(ErrorKind::kRefused,
              "root's rights could be regained after dropping them; refusing to run: is "
              "CAP_SETUID in the process's ambient or inheritable capabilities?");
}

/// The capabilities of the calling thread (capabilities(7)).
using CapabilitySets = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

bool exchange_capabilities(long call, CapabilitySets& sets) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  return syscall(call, &header, sets.data()) == 0;
}

bool may_become_another() {
  CapabilitySets sets{};
  constexpr unsigned kNeeded = 1U << CAP_SETUID | 1U << CAP_SETGID;
  return exchange_capabilities(SYS_capget, sets) && (sets[0].effective & kNeeded) == kNeeded;
}

Result<Identity> identity_of(const std::string& user, const std::string& group) {
  Identity identity{geteuid(), getegid(), ""};
  if (!user.empty()) {
    if (auto found = find_user(user, !group.empty(), identity); !found) return fail_in("user", found.error());
  }
  if (!group.empty()) {
    if (auto found = find_group(group, identity); !found) return fail_in("group", found.error());
  }
  return identity;
}

/// The one of the capabilities for foreign addresses that this process has. CAP_NET_RAW is the smaller right:
/// the sandbox lets no raw socket be made. Nothing: it has neither.
std::optional<unsigned> right_to_foreign_addresses(const CapabilitySets& sets) {
  for (const unsigned capability : {unsigned{CAP_NET_RAW}, unsigned{CAP_NET_ADMIN}}) {
    if ((sets[0].permitted & (1U << capability)) != 0) return capability;
  }
  return std::nullopt;
}

/// Whether the capabilities that this user has came with it, or were left by a change from root.
enum class Origin : std::uint8_t { kOwn, kRoots };

/// Keeps the right to foreign addresses, also for the program that an upgrade starts (ambient capabilities),
/// and gives up what else came from root.
Result<void> keep_foreign_addresses(Origin origin) {
  CapabilitySets sets{};
  if (!exchange_capabilities(SYS_capget, sets)) return fail_errno("cannot read the capabilities", errno);
  const auto kept = right_to_foreign_addresses(sets);
  const std::uint32_t bit = kept ? 1U << *kept : 0;
  if (origin == Origin::kRoots) {
    sets = {};
    sets[0].permitted = bit;
  }
  sets[0].effective |= bit;
  sets[0].inheritable |= bit;
  if (!exchange_capabilities(SYS_capset, sets)) return fail_errno("cannot give up capabilities", errno);
  if (kept && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, static_cast<unsigned long>(*kept), 0, 0) != 0)
    return fail_errno("cannot keep the right to use foreign addresses", errno);
  return {};
}

Result<void> become(const Identity& identity, KeptRight kept) {
  const bool keeps = kept == KeptRight::kForeignAddresses && geteuid() == 0 && identity.user != 0;
  if (keeps && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return refused(identity, errno);
  const int groups = identity.user_name.empty() ? setgroups(0, nullptr)
                                                : initgroups(identity.user_name.c_str(), identity.group);
  if (groups != 0) return refused(identity, errno);
  if (setresgid(identity.group, identity.group, identity.group) != 0) return refused(identity, errno);
  if (setresuid(identity.user, identity.user, identity.user) != 0) return refused(identity, errno);
  if (keeps) {
    if (auto done = keep_foreign_addresses(Origin::kRoots); !done) return done;
  }
  return check_that_nothing_comes_back(identity);
}

}  // namespace

Result<void> check_user(const std::string& user, bool group_given) {
  Identity identity;
  return user.empty() ? Result<void>() : find_user(user, group_given, identity);
}

Result<void> check_group(const std::string& group) {
  Identity identity;
  return group.empty() ? Result<void>() : find_group(group, identity);
}

Result<void> check_change(const std::string& user, const std::string& group) {
  if (user.empty() && group.empty()) return {};
  const auto identity = identity_of(user, group);
  if (!identity) return tl::unexpected(identity.error());
  if (is_already(*identity) || may_become_another()) return {};
  return refused(*identity, EPERM);
}

Result<void> drop_privileges(const std::string& user, const std::string& group, KeptRight kept) {
  const bool keeps_own = kept == KeptRight::kForeignAddresses && geteuid() != 0;
  if (keeps_own) {
    if (auto done = keep_foreign_addresses(Origin::kOwn); !done) return done;
  }
  if (user.empty() && group.empty()) return {};
  const auto identity = identity_of(user, group);
  if (!identity) return tl::unexpected(identity.error());
  return is_already(*identity) ? check_that_nothing_comes_back(*identity) : become(*identity, kept);
}

Result<uid_t> user_number(const std::string& user) {
  if (const auto number = as_number(user)) return *number;
  if (const passwd* entry = getpwnam(user.c_str()); entry != nullptr) return entry->pw_uid;
  return no_entry("user", user);
}

Result<gid_t> group_number(const std::string& group) {
  Identity identity;
  return find_group(group, identity).map([&] { return identity.group; });
}

}  // namespace headgate
