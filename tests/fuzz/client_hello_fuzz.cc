#include <cstddef>
#include <cstdint>
#include <span>

#include "tls/handshake/client_hello.h"

/// The first bytes of a connection, as a stranger sends them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  static_cast<void>(headgate::classify_first_bytes(bytes));
  const auto hello = headgate::parse_client_hello(bytes);
  if (!hello) return 0;
  static_cast<void>(hello->ja4());
  static_cast<void>(headgate::pq_only_would_refuse(*hello));
  return 0;
}
