#pragma once

#include <string>
#include <vector>

#include "config/notation.h"

namespace headgate::config {

/// A key of the configuration that holds a value or a list of values.
struct KnownKey {
  std::string path;  ///< "listeners[].tls.min_version", "backends.*.servers[].weight"; a list's ends in "[]".
  Form form;         ///< How the value, or each value of the list, is written.
  std::string default_text;  ///< Of a single value, as the notation writes it.
  std::vector<std::string> default_list;
};

/// Every key, in the order of keys.h. A key whose value is a map is not listed itself; the keys of that map
/// are.
[[nodiscard]] std::vector<KnownKey> known_keys();

}  // namespace headgate::config
