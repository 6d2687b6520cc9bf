#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "base/check.h"
#include "tls/handshake/client_hello.h"

namespace {

using headgate::ClientHello;
using headgate::ClientHelloResult;
using headgate::ErrorKind;

/// What a reader says that gets `bytes` in pieces whose sizes depend on them. Each piece comes in a buffer of
/// its own size and place, so that reading behind it, or where it was, is found.
ClientHelloResult read_in_pieces(std::span<const std::byte> bytes, std::vector<std::byte>& received) {
  std::minstd_rand sizes(static_cast<unsigned>(bytes.size()) * 31 +
                         (bytes.empty() ? 0 : std::to_integer<unsigned>(bytes.back())));
  headgate::ClientHelloReader reader;
  auto answer = reader.resume({});
  for (std::size_t size = 0;
       size < bytes.size() && !answer && answer.error().kind == ErrorKind::kIncomplete;) {
    size = std::min(bytes.size(), size + 1 + sizes() % (sizes() % 4 == 0 ? 1000 : 3));
    received = std::vector(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    answer = reader.resume(received);
  }
  HG_CHECK(reader.examined_bytes() <= 3 * bytes.size() + headgate::kMaxClientHelloRecords);
  return answer;
}

void check_same(const ClientHelloResult& whole, const ClientHelloResult& pieces) {
  HG_CHECK(whole.has_value() == pieces.has_value());
  if (!whole) {
    HG_CHECK(whole.error().kind == pieces.error().kind && whole.error().alert == pieces.error().alert);
    HG_CHECK(whole.error().is_from_client == pieces.error().is_from_client);
    return;
  }
  HG_CHECK(whole->server_name == pieces->server_name);
  HG_CHECK(whole->message_bytes == pieces->message_bytes && whole->wire_bytes == pieces->wire_bytes);
  HG_CHECK(whole->alpn == pieces->alpn && whole->extensions == pieces->extensions);
  HG_CHECK(whole->ja4() == pieces->ja4());
}

}  // namespace

/// The first bytes of a connection, as a stranger sends them: at once and in pieces.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  static_cast<void>(headgate::classify_first_bytes(bytes));
  const auto hello = headgate::parse_client_hello(bytes);
  std::vector<std::byte> received;
  check_same(hello, read_in_pieces(bytes, received));
  if (!hello) return 0;
  static_cast<void>(headgate::pq_only_would_refuse(*hello));
  return 0;
}
