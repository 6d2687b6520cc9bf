#include "supervisor/sandbox_layers.h"

#include <cinttypes>
#include <cstdint>
#include <cstdio>

namespace headgate {

std::string digest_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  char hex[17] = {};
  std::snprintf(hex, sizeof hex, "%016" PRIx64, hash);
  return hex;
}

SandboxLayers::SandboxLayers(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = text.find(' ');
    add(std::string(text.substr(0, end)));
    text = end == text.npos ? std::string_view() : text.substr(end + 1);
  }
}

std::string SandboxLayers::text() const {
  std::string all;
  for (const std::string& digest : digests_) all += (all.empty() ? "" : " ") + digest;
  return all;
}

}  // namespace headgate
