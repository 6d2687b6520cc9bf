#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret_bytes.h"

namespace headgate {

/// One block between "-----BEGIN label-----" and "-----END label-----". RFC 7468.
struct PemBlock {
  std::string_view label;  ///< Points into the text that was parsed, or is a constant.
  bool encrypted = false;  ///< RFC 1421 headers say so. The contents are then not decoded.
  std::size_t line = 0;    ///< Of its BEGIN, from 1.
  SecretBytes der;
  /// What OpenSSL wrote behind the certificate of a "TRUSTED CERTIFICATE": the purposes for which it is to be
  /// trusted, and for which not. The label is then "CERTIFICATE".
  SecretBytes trust_settings{};
};

/// All PEM blocks in `text`, in order. Text before, between and after them is skipped; lines may end in CRLF
/// and have trailing blanks; a byte order mark is skipped. A text without any block gives an empty list.
/// Pure; any thread.
///
/// Errors: kMalformed, naming the line: no END (a truncated file), another label at the END, not base64.
[[nodiscard]] Result<std::vector<PemBlock>> parse_pem(std::string_view text);

}  // namespace headgate
