#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace headgate {

/// Something in another program's file that Headgate has no equal for, and what to do about it.
struct Unequal {
  int line = 0;  ///< From 1.
  std::string what;
  bool operator==(const Unequal&) const = default;
};

/// Another program's configuration as Headgate's. Paths are as the file has them. The loader checks whether
/// it is complete (has a listener, has a backend).
struct Imported {
  config::Config config;
  std::vector<Unequal> unequal;  ///< In the order of the file.

  void note(int line, std::string what) { unequal.push_back({line, std::move(what)}); }
};

/// Read a configuration file of hitch 1.5 and later, of stunnel 5, of HAProxy 2. Whatever the text is, they
/// return the part that they understood. Pure but for import_haproxy(), which asks whether a `crt` is a
/// directory.
[[nodiscard]] Imported import_hitch(std::string_view text);
[[nodiscard]] Imported import_stunnel(std::string_view text);
[[nodiscard]] Imported import_haproxy(std::string_view text);

}  // namespace headgate
