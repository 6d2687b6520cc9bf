#pragma once

#include "config/config.h"
#include "net/starttls/dialogue.h"

namespace headgate {

/// The protocol of a listener with STARTTLS; `starttls` is not kNone.
[[nodiscard]] StarttlsProtocol starttls_protocol(config::Starttls starttls);

}  // namespace headgate
