#include <cstdint>

#include "net/starttls/postgres_packet.h"
#include "net/starttls/protocols.h"

namespace headgate {
namespace {

constexpr std::uint32_t kSslRequest = 80877103;
constexpr std::uint32_t kGssEncryptionRequest = 80877104;
constexpr std::size_t kRequestBytes = postgres::kHeadBytes;
constexpr std::uint32_t kMaxStartupBytes = 10'000;  // what the server itself allows
constexpr std::uint32_t kProtocolMajor = 3;
constexpr std::byte kTlsFirstByte{0x16};

/// ErrorResponse: 'E', the length, then fields of a type letter and a string, and a zero.
std::string error_response(std::string_view sqlstate, std::string_view message) {
  std::string fields;
  const auto add = [&](char type, std::string_view value) {
    fields += type;
    fields += value;
    fields += '\0';
  };
  add('S', "FATAL");
  add('V', "FATAL");
  add('C', sqlstate);
  add('M', message);
  fields += '\0';
  const std::size_t length = fields.size() + 4;
  const std::string head{'E', '\0', '\0', static_cast<char>(length >> 8), static_cast<char>(length & 0xFF)};
  return head + fields;
}

/// `message` is a constant.
StarttlsStep malformed_request(std::string_view message) {
  return {StarttlsState::kMalformed, 0, error_response("08P01", message), message};
}

/// No bytes may follow the eight of a request, because the client has to wait for the one-letter answer.
StarttlsStep answer_request(std::span<const std::byte> received, StarttlsState next, char letter) {
  if (received.size() > kRequestBytes)
    return malformed_request("unencrypted data after a request for encryption");
  return {next, kRequestBytes, std::string(1, letter)};
}

StarttlsStep refuse_plaintext(std::uint32_t length, std::uint32_t code) {
  if (code >> 16 == kProtocolMajor && length <= kMaxStartupBytes) {
    // 28000, invalid_authorization_specification: what the server says when its rules ask for TLS.
    return {StarttlsState::kPlaintext, 0,
            error_response("28000", "TLS required: connect with sslmode=require"),
            "the client does not ask for TLS: it needs sslmode=require or stricter"};
  }
  return malformed_request("unsupported frontend protocol");
}

}  // namespace

StarttlsStep PostgresStarttls::feed(std::span<const std::byte> received) {
  if (received.empty()) return {};
  // The first byte of a request's length is never 0x16, so it tells a request from a ClientHello. After 'N'
  // the client may begin TLS only by asking for it.
  if (received[0] == kTlsFirstByte && !gss_refused_) return {StarttlsState::kTlsBegins, 0, {}};
  if (received[0] != std::byte{0}) return malformed_request("neither TLS nor a request for TLS");
  if (received.size() < kRequestBytes) return {};
  const std::uint32_t length = postgres::read_u32(received);
  const std::uint32_t code = postgres::read_u32(received.subspan(4));
  if (length == kRequestBytes && code == kSslRequest) {
    return answer_request(received, StarttlsState::kTlsBegins, 'S');
  }
  if (length == kRequestBytes && code == kGssEncryptionRequest && !gss_refused_) {
    gss_refused_ = true;
    return answer_request(received, StarttlsState::kNeedMore, 'N');
  }
  const postgres::FirstMessage first = postgres::read_first_message(received);
  if (first.kind == postgres::FirstMessage::Kind::kNeedMore) return {};
  if (first.kind == postgres::FirstMessage::Kind::kCancel) return {StarttlsState::kCancel, 0, {}};
  return refuse_plaintext(length, code);
}

}  // namespace headgate
