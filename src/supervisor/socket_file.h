#pragma once

#include "base/result.h"
#include "config/config.h"
#include "net/socket.h"
#include "tls/handshake/diagnostic.h"

namespace headgate {

/// Looks up the owner and the group that a bind gives to the file of its unix socket. Errors: kNotFound; the
/// text begins with the key that has the name.
[[nodiscard]] Result<SocketFile> socket_file_of(const config::Bind& bind);

/// A fault for each bind whose owner or group does not exist, with the key that names it. For `check`: a
/// process that listens fails by socket_file_of().
[[nodiscard]] Diagnostics unknown_owners(const config::Config& config);

}  // namespace headgate
