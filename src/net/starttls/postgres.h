#pragma once

#include "net/starttls/dialogue.h"

namespace headgate {

/// PostgreSQL's frontend/backend protocol 3 ("SSL Session Encryption" and "Message Formats").
///
/// SSLRequest is answered with 'S', GSSENCRequest with 'N' after which the client tries the next thing, and a
/// ClientHello as the first byte (direct TLS, PostgreSQL 17) begins TLS at once. A StartupMessage in plain
/// text is told why it is refused; a CancelRequest in plain text is never answered by any server, and closed.
class PostgresStarttls final : public StarttlsDialogue {
 public:
  [[nodiscard]] StarttlsStep feed(std::span<const std::byte> received) override;

 private:
  bool gss_refused_ = false;
};

}  // namespace headgate
