#pragma once

#include "net/starttls/line_dialogue.h"

namespace headgate {

/// IMAP (RFC 9051, section 6.2.1; RFC 3501). Logging in before TLS is disabled and announced as such. After
/// TLS the client asks for the capabilities again and the backend answers.
class ImapStarttls final : public LineDialogue {
 public:
  [[nodiscard]] std::string_view greeting() const override;

 protected:
  [[nodiscard]] Answer answer(std::string_view line) override;
  [[nodiscard]] std::string_view farewell() const override;
};

}  // namespace headgate
