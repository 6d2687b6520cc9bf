#include "net/starttls/mysql_packet.h"

#include <algorithm>

#include "base/text_of.h"
#include "net/starttls/dialogue.h"

namespace headgate::mysql {
namespace {

// Capabilities, as far as they are looked at here.
constexpr std::uint32_t kLongPassword = 0x1;
constexpr std::uint32_t kProtocol41 = 0x200;
constexpr std::uint32_t kSsl = 0x800;
constexpr std::uint32_t kSecureConnection = 0x8000;
constexpr std::uint32_t kPluginAuth = 0x80000;

// The second byte of the capabilities has TLS's bit.
constexpr std::size_t kSslByte = 1;
constexpr std::byte kSslBit{kSsl >> 8};

constexpr std::byte kProtocolVersion{10};
constexpr std::byte kErrorMark{0xFF};
constexpr std::byte kOkMark{0x00};
constexpr std::size_t kVersionAt = kHeaderBytes + 1;
/// Behind the server's version: the thread, the first half of the random bytes, and a zero.
constexpr std::size_t kBeforeCapabilitiesBytes = 4 + 8 + 1;
constexpr std::uint8_t kUtf8Mb4 = 45;

std::uint32_t read_number(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | std::to_integer<std::uint32_t>(bytes[i]);
  return value;
}

void append_number(std::string& to, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) to += static_cast<char>(value >> (8 * i) & 0xFF);
}

std::span<const std::byte> capabilities_of(std::span<const std::byte> answer) {
  return answer.subspan(kHeaderBytes, 4);
}

/// The words of an error packet: behind the mark and the code stands '#' with a SQLSTATE, or not.
std::string_view error_words(std::span<const std::byte> payload) {
  std::string_view text = text_of(payload);
  text.remove_prefix(std::min<std::size_t>(3, text.size()));
  if (text.starts_with('#')) text.remove_prefix(std::min<std::size_t>(6, text.size()));
  return text;
}

}  // namespace

Greeting read_greeting(std::span<const std::byte> received) {
  using State = Greeting::State;
  if (received.size() <= kHeaderBytes) return {};
  const std::size_t size_bytes = kHeaderBytes + read_number(received.first(3));
  if (size_bytes > kMaxStarttlsInputBytes || received[3] != std::byte{0})
    return {.state = State::kMalformed, .error = {}};
  const std::byte mark = received[kHeaderBytes];
  if (mark != kProtocolVersion && mark != kErrorMark) return {.state = State::kMalformed, .error = {}};
  if (received.size() < size_bytes) return {};
  const auto packet = received.first(size_bytes);
  if (mark == kErrorMark)
    return {
        .state = State::kError, .size_bytes = size_bytes, .error = error_words(packet.subspan(kHeaderBytes))};
  const auto version_end = std::find(packet.begin() + kVersionAt, packet.end(), std::byte{0});
  const auto at = static_cast<std::size_t>(version_end - packet.begin()) + 1 + kBeforeCapabilitiesBytes;
  if (at + 2 > size_bytes) return {.state = State::kMalformed, .error = {}};
  const std::uint32_t capabilities = read_number(packet.subspan(at, 2));
  if ((capabilities & kProtocol41) == 0) return {.state = State::kMalformed, .error = {}};
  return {.state = State::kDone,
          .size_bytes = size_bytes,
          .capabilities_at = at,
          .offers_tls = (capabilities & kSsl) != 0,
          .error = {}};
}

void set_offer(std::span<std::byte> bytes, const Greeting& greeting, Offer offer) {
  std::byte& place = bytes[greeting.capabilities_at + kSslByte];
  place = offer == Offer::kTls ? place | kSslBit : place & ~kSslBit;
}

Answer read_answer(std::span<const std::byte> received) {
  if (received.size() < kHeaderBytes) return Answer::kNeedMore;
  const std::size_t length = read_number(received.first(3));
  if (length < kRequestBytes - kHeaderBytes || received[3] != std::byte{1}) return Answer::kMalformed;
  if (received.size() < kRequestBytes) return Answer::kNeedMore;
  const std::uint32_t capabilities = read_number(capabilities_of(received));
  if ((capabilities & kProtocol41) == 0) return Answer::kMalformed;
  const bool is_request = length == kRequestBytes - kHeaderBytes;
  if ((capabilities & kSsl) != 0) return is_request ? Answer::kRequest : Answer::kMalformed;
  return is_request ? Answer::kMalformed : Answer::kLogin;
}

std::vector<std::byte> request_for(std::span<const std::byte> answer) {
  std::vector<std::byte> request(answer.begin(), answer.begin() + kRequestBytes);
  request[0] = std::byte{kRequestBytes - kHeaderBytes};
  request[1] = request[2] = std::byte{0};
  request[kHeaderBytes + kSslByte] |= kSslBit;
  return request;
}

std::vector<std::byte> request_of_a_check() {
  std::string payload;
  append_number(payload, kLongPassword | kProtocol41 | kSsl | kSecureConnection | kPluginAuth, 4);
  append_number(payload, 1 << 24, 4);
  payload += static_cast<char>(kUtf8Mb4);
  payload.resize(kRequestBytes - kHeaderBytes, '\0');
  std::string packet;
  append_number(packet, kRequestBytes - kHeaderBytes, 3);
  packet += '\x01';
  packet += payload;
  const auto bytes = std::as_bytes(std::span(packet));
  return {bytes.begin(), bytes.end()};
}

std::string error_packet(std::uint8_t number, std::uint16_t code, std::string_view state,
                         std::string_view message) {
  std::string payload(1, '\xFF');
  append_number(payload, code, 2);
  if (number > 0) payload.append("#").append(state);
  payload += message;
  std::string packet;
  append_number(packet, static_cast<std::uint32_t>(payload.size()), 3);
  packet += static_cast<char>(number);
  return packet += payload;
}

void Login::from_client(std::span<std::byte> bytes) {
  for (std::byte& byte : bytes) {
    if (!over_) pass(client_, byte, false);
  }
}

void Login::from_server(std::span<std::byte> bytes) {
  for (std::byte& byte : bytes) {
    if (!over_) pass(server_, byte, true);
  }
}

/// The numbers of a client with TLS are one higher than the server's, and those of one without are one lower.
/// Number 0 begins a command, which belongs to no login.
void Login::pass(Place& place, std::byte& byte, bool to_client) {
  if (place.header_bytes == kHeaderBytes) {
    pass_payload(place, byte, to_client);
    ++place.at;
    if (--place.left_bytes > 0) return;
    place.header_bytes = 0;
    over_ = decided_ && to_client;
    return;
  }
  if (place.header_bytes == 0) place.left_bytes = place.at = 0;
  if (place.header_bytes < 3) {
    place.left_bytes |= std::to_integer<std::size_t>(byte) << (8 * place.header_bytes);
    ++place.header_bytes;
    return;
  }
  const int shift = client_has_tls_ == to_client ? 1 : -1;
  const int number = std::to_integer<int>(byte);
  if (number > 0 || to_client) byte = static_cast<std::byte>((number + shift) & 0xFF);
  ++place.packets;
  place.header_bytes = place.left_bytes > 0 ? kHeaderBytes : 0;
}

void Login::pass_payload(const Place& place, std::byte& byte, bool to_client) {
  if (to_client && place.at == 0) decided_ = byte == kOkMark || byte == kErrorMark;
  // Of the login itself: a server without TLS gets a client without it, and the other way round.
  if (!to_client && place.packets == 1 && place.at == kSslByte)
    byte = client_has_tls_ ? byte & ~kSslBit : byte | kSslBit;
}

}  // namespace headgate::mysql
