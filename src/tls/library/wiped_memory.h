#pragma once

#include "base/result.h"

namespace headgate {

/// Makes OpenSSL wipe its memory before it frees it. OpenSSL itself wipes keys, but it frees an SSL object, a
/// session in DER and other blocks as they are, with the secrets of the connection in them.
///
/// For the whole process, and for good: call it before every other function of OpenSSL. Blocks that are too
/// small for a secret are not wiped, nor are buffers for records and handshake messages. Errors: kSystem,
/// when OpenSSL has memory already.
[[nodiscard]] Result<void> wipe_freed_memory_of_openssl();

}  // namespace headgate
