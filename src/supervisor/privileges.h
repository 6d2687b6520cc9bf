#pragma once

#include <string>

#include "base/result.h"

namespace headgate {

/// Becomes `user` and `group` for good: supplementary groups, then group, then user; real, effective and
/// saved ids alike, in every thread. If `group` is empty, the user's own group counts; if `user` is empty,
/// the user stays; if both are empty, the call does nothing. Both are names or numbers. Call it after the
/// steps that need privileges (ports below 1024, the descriptor limit) and before any byte from the network
/// is read.
///
/// Errors: kNotFound when no such user or group exists, kRefused when this process may not change, else
/// kSystem. The text says what to do. After an error the process must not go on: a part of the privileges may
/// have been dropped already.
[[nodiscard]] Result<void> drop_privileges(const std::string& user, const std::string& group);

}  // namespace headgate
