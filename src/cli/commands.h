#pragma once

#include <string>
#include <vector>

#include "base/exit_code.h"

namespace headgate {

struct RunOptions {
  std::string config;
  std::string listen, backend, certificate, key;  ///< The quick start without a file.
};
struct DemoOptions {
  std::string listen = "127.0.0.1:8443";
  std::string backend;  ///< Empty: the built-in one.
  std::string admin = "127.0.0.1:9464";
};

struct ExplainOptions {
  std::string config;
  std::string listener;
  std::string sni;                 ///< Empty: the client asks for no name.
  std::vector<std::string> alpn;   ///< What it offers, its favourite first.
  std::string source;              ///< An IP address; empty: not judged.
  std::string client_certificate;  ///< PEM file; empty: it shows none.
};

/// One function a command, each in a file of its name. They return the exit code: base/exit_code.h.
[[nodiscard]] int run_command(const RunOptions& options);
[[nodiscard]] int demo_command(const DemoOptions& options);
[[nodiscard]] int check_command(const std::string& config);
[[nodiscard]] int show_command(const std::string& config);
[[nodiscard]] int explain_command(const ExplainOptions& options);
/// `format` is "hitch", "stunnel" or "haproxy".
[[nodiscard]] int import_command(const std::string& format, const std::string& file);
[[nodiscard]] int ticket_key_new_command();

}  // namespace headgate
