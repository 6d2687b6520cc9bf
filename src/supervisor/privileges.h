#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace headgate {

/// Becomes `user` and `group` for good: supplementary groups, then group, then user; real, effective and
/// saved ids alike, in every thread. An empty `group` is the user's own; an empty `user` leaves the user as
/// it is; both empty does nothing. Names or numbers. Call it after what needs privileges (ports below 1024,
/// the descriptor limit) and before any byte from the network is read.
///
/// Errors: kNotFound when there is no such user or group, kRefused when this process may not change, kSystem
/// else. The text says what to do. After an error the process must not go on: a part may have been dropped
/// already.
[[nodiscard]] Result<void> drop_privileges(const std::string& user, const std::string& group);

/// Raises the soft limit of open descriptors to the hard one, and returns what holds now. Errors: kSystem.
[[nodiscard]] Result<std::uint64_t> raise_descriptor_limit();

}  // namespace headgate
