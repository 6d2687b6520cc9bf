#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/check.h"
#include "net/starttls/backend_greeting.h"
#include "net/starttls/dialogue.h"
#include "net/starttls/request.h"

namespace {

using namespace headgate;

/// Feeds `input` to a dialogue in pieces of `piece_bytes`, keeping what is not consumed, as a connection
/// does.
void converse(StarttlsProtocol protocol, std::span<const std::byte> input, std::size_t piece_bytes) {
  auto dialogue = open_starttls(protocol);
  if (!dialogue) return;
  std::vector<std::byte> received;
  while (!input.empty() && received.size() < kMaxStarttlsInputBytes) {
    const auto piece = input.first(std::min(piece_bytes, input.size()));
    input = input.subspan(piece.size());
    received.insert(received.end(), piece.begin(), piece.end());
    const StarttlsStep step = (*dialogue)->feed(received);
    HG_CHECK(step.consumed_bytes <= received.size());
    if (step.state == StarttlsState::kTlsBegins) {
      // Nothing is left behind a request to upgrade; direct TLS takes nothing.
      HG_CHECK(step.consumed_bytes == received.size() || step.consumed_bytes == 0);
    }
    if (step.state != StarttlsState::kNeedMore) return;
    received.erase(received.begin(), received.begin() + static_cast<std::ptrdiff_t>(step.consumed_bytes));
  }
}

/// Feeds `input` to a request, as a server's answers.
void answer(StarttlsProtocol protocol, std::span<const std::byte> input, std::size_t piece_bytes) {
  auto request = open_starttls_request(protocol);
  std::vector<std::byte> received;
  while (!input.empty() && received.size() < kMaxStarttlsInputBytes) {
    const auto piece = input.first(std::min(piece_bytes, input.size()));
    input = input.subspan(piece.size());
    received.insert(received.end(), piece.begin(), piece.end());
    const RequestStep step = request->feed(received);
    HG_CHECK(step.consumed_bytes <= received.size());
    // Nothing is left behind the go-ahead.
    if (step.state == RequestState::kTlsBegins) {
      HG_CHECK(step.consumed_bytes == received.size());
    }
    if (step.state != RequestState::kNeedMore) return;
    received.erase(received.begin(), received.begin() + static_cast<std::ptrdiff_t>(step.consumed_bytes));
  }
}

}  // namespace

/// The first byte chooses the protocol, the second how the rest is cut into pieces.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
  if (size_bytes < 2) return 0;
  const auto protocol = static_cast<StarttlsProtocol>(data[0] % 6);
  const auto input = std::as_bytes(std::span(data, size_bytes)).subspan(2);
  converse(protocol, input, data[1] % 32 + std::size_t{1});
  converse(protocol, input, input.size() + 1);
  answer(protocol, input, data[1] % 32 + std::size_t{1});
  answer(protocol, input, input.size() + 1);
  const auto verdict = BackendGreeting::read(protocol, input);
  HG_CHECK(verdict.drop_bytes <= input.size());
  return 0;
}
