#pragma once

#include "net/starttls/line_dialogue.h"

namespace headgate {

/// POP3 (RFC 2595, section 4). The greeting has no timestamp, so APOP, which would sign it, is not on offer.
class Pop3Starttls final : public LineDialogue {
 public:
  [[nodiscard]] std::string_view greeting() const override;

 protected:
  [[nodiscard]] Answer answer(std::string_view line) override;
  [[nodiscard]] std::string_view farewell() const override;
};

}  // namespace headgate
