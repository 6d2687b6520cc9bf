#include "supervisor/privileges.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <optional>

namespace headgate {
namespace {

/// The user and group to become. `user_name` is for the supplementary groups; empty: the user is a number
/// without an entry, and has none.
struct Identity {
  uid_t user = 0;
  gid_t group = 0;
  std::string user_name;
};

std::optional<unsigned> as_number(const std::string& text) {
  unsigned number = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stopped != end) return std::nullopt;
  return number;
}

Result<void> find_user(const std::string& user, Identity& identity) {
  const auto number = as_number(user);
  const passwd* entry = number ? getpwuid(*number) : getpwnam(user.c_str());
  if (entry != nullptr) {
    identity = {entry->pw_uid, entry->pw_gid, entry->pw_name};
    return {};
  }
  if (!number)
    return fail(ErrorKind::kNotFound,
                "user: there is no user \"" + user + "\"; create it or correct the name");
  identity = {*number, getgid(), ""};
  return {};
}

Result<void> find_group(const std::string& group, Identity& identity) {
  const auto number = as_number(group);
  const struct group* entry = number ? nullptr : getgrnam(group.c_str());
  if (!number && entry == nullptr) {
    return fail(ErrorKind::kNotFound,
                "group: there is no group \"" + group + "\"; create it or correct the name");
  }
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

Result<void> become(const Identity& identity) {
  const int groups = identity.user_name.empty() ? setgroups(0, nullptr)
                                                : initgroups(identity.user_name.c_str(), identity.group);
  if (groups != 0) return refused(identity, errno);
  if (setresgid(identity.group, identity.group, identity.group) != 0) return refused(identity, errno);
  if (setresuid(identity.user, identity.user, identity.user) != 0) return refused(identity, errno);
  if (can_regain(identity)) {
    return fail(ErrorKind::kRefused,
                "root's rights could be regained after dropping them; refusing to run: is "
                "CAP_SETUID in the process's ambient or inheritable capabilities?");
  }
  return {};
}

}  // namespace

Result<void> drop_privileges(const std::string& user, const std::string& group) {
  if (user.empty() && group.empty()) return {};
  Identity identity{geteuid(), getegid(), ""};
  if (!user.empty()) {
    if (auto found = find_user(user, identity); !found) return found;
  }
  if (!group.empty()) {
    if (auto found = find_group(group, identity); !found) return found;
  }
  if (is_already(identity)) return {};
  return become(identity);
}

}  // namespace headgate
