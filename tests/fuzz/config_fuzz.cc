#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "config/load.h"
#include "config/show.h"

/// A configuration, whatever its bytes, loads or is refused; and what loads is the same once shown and loaded
/// again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
  using namespace headgate::config;
  const std::string_view text(reinterpret_cast<const char*>(data), size_bytes);
  const Loaded loaded = load_text(text, "fuzz.yaml", "/etc/headgate");
  if (!loaded.usable()) return 0;
  const Loaded again = load_text(show(loaded.config), "shown.yaml", "/etc/headgate");
  HG_CHECK(again.usable());
  HG_CHECK(again.config == loaded.config);
  return 0;
}
