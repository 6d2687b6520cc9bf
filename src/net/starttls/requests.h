#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "net/starttls/request.h"

/// One request for each protocol; open_starttls_request() makes them.
namespace headgate {

/// IMAP (RFC 9051, section 6.2.1): STARTTLS behind the greeting. Untagged responses in between are passed
/// over.
class ImapRequest final : public StarttlsRequest {
 public:
  [[nodiscard]] RequestStep feed(std::span<const std::byte> received) override;

 private:
  bool greeted_ = false;
  int untagged_ = 0;
};

/// LDAP (RFC 4511, section 4.14): the StartTLS extended operation.
class LdapRequest final : public StarttlsRequest {
 public:
  [[nodiscard]] std::string_view opening() const override;
  [[nodiscard]] RequestStep feed(std::span<const std::byte> received) override;
};

/// MySQL and MariaDB: SSLRequest behind the greeting, with the capabilities of a client that only checks. The
/// connections of clients ask with their clients' own: connection/connect.cc.
class MysqlRequest final : public StarttlsRequest {
 public:
  [[nodiscard]] RequestStep feed(std::span<const std::byte> received) override;
};

/// POP3 (RFC 2595, section 4): STLS behind the greeting.
class Pop3Request final : public StarttlsRequest {
 public:
  [[nodiscard]] RequestStep feed(std::span<const std::byte> received) override;

 private:
  bool greeted_ = false;
};

/// PostgreSQL's SSLRequest ("SSL Session Encryption").
class PostgresRequest final : public StarttlsRequest {
 public:
  [[nodiscard]] std::string_view opening() const override;
  [[nodiscard]] RequestStep feed(std::span<const std::byte> received) override;
};

/// SMTP (RFC 3207): EHLO behind the greeting, and STARTTLS if the server offers it.
class SmtpRequest final : public StarttlsRequest {
 public:
  [[nodiscard]] RequestStep feed(std::span<const std::byte> received) override;

 private:
  enum class Awaits : std::uint8_t { kGreeting, kExtensions, kGoAhead };
  [[nodiscard]] RequestStep answer(std::string_view reply);
  Awaits awaits_ = Awaits::kGreeting;
};

}  // namespace headgate
