#pragma once

#include <string>

#include <openssl/asn1.h>

#include "base/units.h"

namespace headgate {

/// A time as certificates, revocation lists and OCSP responses have it. No time at all is WallTime::max(),
/// one that cannot be read WallTime::min(), and one beyond what the clock can say, such as the year 9999, the
/// clock's last second. Any thread.
[[nodiscard]] WallTime wall_time(const ASN1_TIME* time);

/// "2026-11-26", in UTC.
[[nodiscard]] std::string date_text(WallTime time);

}  // namespace headgate
