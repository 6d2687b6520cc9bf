#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "tls/record/aead_contexts.h"
#include "tls/record/record_layer.h"

// RecordOpener on arbitrary bytes, and on records whose types and contents are arbitrary but whose protection
// holds. Input: a byte of options, then either ciphertext as it is, or parts of {inner type, length,
// content}, each sealed.
namespace headgate {
namespace {

constexpr std::uint8_t kRawBit = 1;
constexpr std::uint8_t kClientBit = 2;

AeadContexts& contexts() {
  static AeadContexts contexts(nullptr);
  return contexts;
}

DirectionState direction(RecordSuite suite) {
  const std::vector<std::byte> secret(size_bytes(row(suite).hash), std::byte{7});
  return {.suite = suite, .secret = TrafficSecret(secret), .sequence_number = 0};
}

std::vector<std::byte> sealed(RecordSuite suite, std::span<const std::byte> input) {
  RecordProtector sealer(contexts(), direction(suite));
  std::vector<std::byte> records;
  while (input.size() >= 2) {
    const auto type = static_cast<ContentType>(input[0]);
    const auto wanted = std::to_integer<std::size_t>(input[1]);
    input = input.subspan(2);
    const auto content = input.first(std::min(wanted, input.size()));
    input = input.subspan(content.size());
    std::vector<std::byte> record(content.size() + kRecordOverheadBytes);
    sealer.seal(type, content, record);
    records.insert(records.end(), record.begin(), record.end());
  }
  return records;
}

void require(bool holds) {
  if (!holds) std::abort();
}

void open_all(RecordOpener& opener, std::span<const std::byte> ciphertext) {
  std::vector<std::byte> room(kMaxRecordContentBytes);
  for (;;) {
    const RecordOpener::Opened opened = opener.open(ciphertext, room);
    require(opened.consumed_bytes <= ciphertext.size() && opened.produced_bytes <= room.size());
    require(opened.produced_bytes <= opened.consumed_bytes);
    ciphertext = ciphertext.subspan(opened.consumed_bytes);
    static_cast<void>(opener.take_key_update_request());
    if (opened.status != RecordOpener::Status::kNoRoom) return;
    require(opened.consumed_bytes > 0);
  }
}

}  // namespace
}  // namespace headgate

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace headgate;
  if (size == 0) return 0;
  const auto suite = static_cast<RecordSuite>((data[0] >> 2) % kRecordSuiteCount);
  const TlsRole role = (data[0] & kClientBit) != 0 ? TlsRole::kClient : TlsRole::kServer;
  const auto input = std::as_bytes(std::span(data, size)).subspan(1);
  RecordOpener opener(contexts(), role, direction(suite));
  if ((data[0] & kRawBit) != 0) {
    open_all(opener, input);
  } else {
    open_all(opener, sealed(suite, input));
  }
  return 0;
}
