#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace headgate {

/// Whether drop_privileges() would find `user`, or `group`; changes nothing. `group_given`: another group
/// will replace the user's own. Errors: kNotFound; the text says what to do.
[[nodiscard]] Result<void> check_user(const std::string& user, bool group_given);
[[nodiscard]] Result<void> check_group(const std::string& group);

/// Whether drop_privileges() would be allowed to this process; changes nothing. Errors: kRefused, and those
/// of the two above; the text says what to do.
[[nodiscard]] Result<void> check_change(const std::string& user, const std::string& group);

/// A right of root's that another user keeps. kForeignAddresses: CAP_NET_RAW, or CAP_NET_ADMIN where the
/// process has that alone, with which sockets may use addresses of others (IP_TRANSPARENT).
enum class KeptRight : std::uint8_t { kNone, kForeignAddresses };

/// Becomes `user` and `group` for good: supplementary groups, then group, then user; real, effective and
/// saved ids alike, in every thread. If `group` is empty, the user's own group counts; if `user` is empty,
/// the user stays; if both are empty, the call does nothing. Both are names or numbers. A number without an
/// entry has no group of its own, and gets the group of the same number. A process that is that user already
/// keeps its supplementary groups. A right in `kept`, where the process has it, is kept for the program
/// that an upgrade starts too; every other right of root's goes. Call it after the steps that need privileges
/// (ports below 1024, the descriptor limit) and before any byte from the network is read.
///
/// Errors: kNotFound when no such user or group exists, or when the group of that number belongs to others;
/// kRefused when this process may not change, or could become root again; else kSystem. The text says what to
/// do. After an error the process must not go on: a part of the privileges may have been dropped already.
[[nodiscard]] Result<void> drop_privileges(const std::string& user, const std::string& group,
                                           KeptRight kept = KeptRight::kNone);

/// The number of a user or group that is given by its name or number. Errors: kNotFound, for a name without
/// an entry.
[[nodiscard]] Result<uid_t> user_number(const std::string& user);
[[nodiscard]] Result<gid_t> group_number(const std::string& group);

}  // namespace headgate
