#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "tls/handshake/diagnostic.h"

namespace headgate {

/// The token that opens the admin endpoint, by its digest alone. Immutable; any thread.
class AdminToken {
 public:
  /// A shorter one could be guessed.
  static constexpr std::size_t kMinBytes = 16;
  static constexpr std::size_t kMaxFileBytes = 4096;

  /// Reads a file of one line. Faults, of the key "admin.token_file", go to `out`; returns nullptr when one
  /// of them is an error.
  [[nodiscard]] static std::shared_ptr<const AdminToken> load(const std::string& path, Diagnostics& out);
  explicit AdminToken(std::string_view token);

  /// Whether `text` is the token. The time does not depend on where they differ.
  [[nodiscard]] bool is(std::string_view text) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  [[nodiscard]] static Digest digest_of(std::string_view text);

  Digest digest_;
};

}  // namespace headgate
