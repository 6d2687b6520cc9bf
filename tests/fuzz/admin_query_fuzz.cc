#include <cstddef>
#include <cstdint>
#include <string_view>

#include "admin/query.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static_cast<void>(headgate::parse_query({reinterpret_cast<const char*>(data), size}));
  return 0;
}
