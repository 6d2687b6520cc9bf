#pragma once

#include <cstdint>

namespace headgate {

/// The alerts that Headgate sends itself or checks for; a received one may have any value. RFC 8446, section
/// 6.
enum class Alert : std::uint8_t {
  kCloseNotify = 0,
  kUnexpectedMessage = 10,
  kBadRecordMac = 20,
  kRecordOverflow = 22,
  kHandshakeFailure = 40,
  kCertificateRevoked = 44,
  kCertificateExpired = 45,
  kIllegalParameter = 47,
  kAccessDenied = 49,
  kDecodeError = 50,
  kProtocolVersion = 70,
  kInternalError = 80,
  kUserCanceled = 90,
  kMissingExtension = 109,
  kUnrecognizedName = 112,
};

}  // namespace headgate
