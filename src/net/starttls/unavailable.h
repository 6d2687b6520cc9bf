#pragma once

#include <string>

#include "net/starttls/dialogue.h"

namespace headgate {

/// Returns the words by which a server of `protocol` says, right after TLS is up and before the client has
/// said anything, that it cannot serve and ends the connection. A client reads them as the answer to its
/// first command where the protocol gives the server no turn of its own; MySQL's, as the answer to its login.
[[nodiscard]] std::string starttls_unavailable(StarttlsProtocol protocol);

/// The same in place of MySQL's greeting, before TLS.
[[nodiscard]] std::string mysql_unavailable_greeting();

}  // namespace headgate
