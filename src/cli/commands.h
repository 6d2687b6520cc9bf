#pragma once

#include <string>
#include <vector>

#include "base/exit_code.h"
#include "net/private_link.h"

namespace headgate {

struct ImportFormat;

/// Where a start without a file serves the admin endpoint.
inline constexpr const char* kAdminAddress = "127.0.0.1:9464";

struct RunOptions {
  std::string config;
  std::string listen, backend, certificate, key;  ///< For a start without a file.
  std::string admin = kAdminAddress;              ///< Also for a start without a file.
};
struct DemoOptions {
  std::string listen = "127.0.0.1:8443";
  std::string backend;  ///< Empty: the built-in one.
  std::string admin = kAdminAddress;
};

struct ExplainOptions {
  std::string config;
  std::string listener;
  std::string sni;                 ///< Empty: the client asks for no name.
  std::vector<std::string> alpn;   ///< The protocols that it offers, the preferred one first.
  std::string source;              ///< An IP address; empty: `allow` and `deny` are not evaluated.
  std::string client_certificate;  ///< PEM file; empty: the client sends no certificate.
  PrivateLink link;                ///< As a PROXY header would name it.
};

/// One function for each command, in a file with the name of the command. Returns the exit code:
/// base/exit_code.h.
[[nodiscard]] int run_command(const RunOptions& options);
[[nodiscard]] int demo_command(const DemoOptions& options);
[[nodiscard]] int check_command(const std::string& config);
[[nodiscard]] int show_command(const std::string& config);
[[nodiscard]] int explain_command(const ExplainOptions& options);
/// `format` is one of kImportFormats.
[[nodiscard]] int import_command(const ImportFormat& format, const std::string& file);
[[nodiscard]] int ticket_key_new_command();

}  // namespace headgate
