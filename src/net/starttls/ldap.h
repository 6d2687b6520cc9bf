#pragma once

#include "net/starttls/dialogue.h"

namespace headgate {

/// LDAP (RFC 4511, section 4.14): the StartTLS extended operation. Every other request is answered with
/// confidentialityRequired in the response that belongs to it.
class LdapStarttls final : public StarttlsDialogue {
 public:
  [[nodiscard]] StarttlsStep feed(std::span<const std::byte> received) override;

 private:
  int requests_ = 0;
};

}  // namespace headgate
