#pragma once

#include <string>
#include <string_view>

#include "config/load.h"

namespace headgate::config {

/// Loads `text` as "t.yaml" in /etc/headgate.
inline Loaded load(std::string_view text) {
  return load_text(text, "t.yaml", "/etc/headgate");
}

/// Returns the faults of `loaded`, one in a line.
inline std::string fault_lines(const Loaded& loaded) {
  std::string lines;
  for (const Fault& fault : loaded.faults) lines += fault.text() + '\n';
  return lines;
}

/// Returns the faults of `text`.
inline std::string faults_of(std::string_view text) {
  return fault_lines(load(text));
}

/// Returns the smallest configuration that there is, with the lines that a test adds: `listener` and
/// `backend` are indented by four.
inline std::string small(std::string_view listener = "", std::string_view backend = "") {
  return "listeners:\n  - bind: :8443\n    backend: app\n" + std::string(listener) +
         "backends:\n  app:\n    servers: 127.0.0.1:8080\n" + std::string(backend);
}

/// Returns the smallest configuration that terminates TLS; `tls` is indented by six.
inline std::string small_tls(std::string_view tls = "", std::string_view backend = "") {
  return small("    tls:\n      certificates: [{certificate: tls.pem}]\n" + std::string(tls), backend);
}

}  // namespace headgate::config
