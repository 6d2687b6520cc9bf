#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "connection/handover_message.h"

/// Whatever can be read can be written, and reads the same again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = headgate::decode_handover(std::as_bytes(std::span(data, size)));
  if (!message) return 0;
  const auto written = headgate::encode(*message);
  const auto again = headgate::decode_handover(written);
  if (!again || headgate::encode(*again) != written) std::abort();
  return 0;
}
