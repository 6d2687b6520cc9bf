#pragma once

#include "net/starttls/line_dialogue.h"

namespace headgate {

/// SMTP (RFC 3207). The only extension offered before TLS is STARTTLS; mail commands get 530. After TLS the
/// client says EHLO again and the backend answers it.
class SmtpStarttls final : public LineDialogue {
 public:
  [[nodiscard]] std::string_view greeting() const override;

 protected:
  [[nodiscard]] Answer answer(std::string_view line) override;
  [[nodiscard]] std::string_view farewell() const override;
};

}  // namespace headgate
