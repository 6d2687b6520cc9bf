#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "net/starttls/dialogue.h"
#include "net/starttls/line_dialogue.h"

/// One dialogue for each protocol; open_starttls() makes them.
namespace headgate {

/// IMAP (RFC 9051, section 6.2.1; RFC 3501). The greeting says that login before TLS
/// is disabled. After TLS the client asks for the capabilities again and the backend answers.
class ImapStarttls final : public LineDialogue {
 public:
  [[nodiscard]] std::string_view greeting() const override;

 protected:
  [[nodiscard]] Answer answer(std::string_view line) override;
  [[nodiscard]] std::string_view farewell() const override;
};

/// LDAP (RFC 4511, section 4.14): the StartTLS extended operation. Every other request gets
/// confidentialityRequired in the response of its kind.
class LdapStarttls final : public StarttlsDialogue {
 public:
  [[nodiscard]] StarttlsStep feed(std::span<const std::byte> received) override;

 private:
  int requests_ = 0;
  bool refused_ = false;  // a request that needs TLS
};

/// MySQL and MariaDB. The greeting is that of the server which will log the client in, since the proof of the
/// password is made of its random bytes. SSLRequest has no answer: the client begins TLS at once. A login in
/// plaintext gets an error that says why.
class MysqlStarttls final : public StarttlsDialogue {
 public:
  explicit MysqlStarttls(std::span<const std::byte> greeting)
      : greeting_(reinterpret_cast<const char*>(greeting.data()), greeting.size()) {}
  [[nodiscard]] std::string_view greeting() const override { return greeting_; }
  [[nodiscard]] StarttlsStep feed(std::span<const std::byte> received) override;

 private:
  std::string greeting_;
};

/// POP3 (RFC 2595, section 4). The greeting has no timestamp, so there is no APOP.
class Pop3Starttls final : public LineDialogue {
 public:
  [[nodiscard]] std::string_view greeting() const override;

 protected:
  [[nodiscard]] Answer answer(std::string_view line) override;
  [[nodiscard]] std::string_view farewell() const override;
};

/// PostgreSQL's frontend/backend protocol 3 ("SSL Session Encryption" and "Message Formats").
///
/// SSLRequest is answered with 'S', and GSSENCRequest with 'N', after which the client tries another request.
/// A ClientHello at the beginning (direct TLS, PostgreSQL 17) begins TLS at once. A StartupMessage in plain
/// text gets an error that says why. A CancelRequest in plain text is for the caller.
class PostgresStarttls final : public StarttlsDialogue {
 public:
  [[nodiscard]] StarttlsStep feed(std::span<const std::byte> received) override;

 private:
  bool gss_refused_ = false;
};

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
