#pragma once

#include <string>

#include <openssl/asn1.h>

#include "base/units.h"

namespace headgate {

/// A time from a certificate, revocation list or OCSP response. An absent time is WallTime::max(), a time
/// that cannot be read is WallTime::min(), and a time beyond the range of the clock, such as the year 9999,
/// is the clock's last second. Any thread.
[[nodiscard]] WallTime wall_time(const ASN1_TIME* time);

/// "2026-11-26", in UTC.
[[nodiscard]] std::string date_text(WallTime time);

}  // namespace headgate
