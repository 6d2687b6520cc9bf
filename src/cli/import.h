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

/// Another program's set-up as Headgate's. Paths are as they stand in the file. Whether it is whole (has a
/// listener, somewhere to go) is the loader's to judge.
struct Imported {
  config::Config config;
  std::vector<Unequal> unequal;  ///< In the order of the file.

  void note(int line, std::string what) { unequal.push_back({line, std::move(what)}); }
};

/// Read a configuration file of hitch 1.5 and later, of stunnel 5, of HAProxy 2. Whatever the text, they
/// return what they understood of it. Pure but for import_haproxy(), which asks whether a `crt` is a
/// directory.
[[nodiscard]] Imported import_hitch(std::string_view text);
[[nodiscard]] Imported import_stunnel(std::string_view text);
[[nodiscard]] Imported import_haproxy(std::string_view text);

}  // namespace headgate
