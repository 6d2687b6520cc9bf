#pragma once

#include <string>

namespace headgate {

/// Exit codes of the contract.
inline constexpr int kExitDone = 0;
inline constexpr int kExitConfiguration = 1;
inline constexpr int kExitCommandLine = 2;
inline constexpr int kExitCannotStart = 3;

struct RunOptions {
  std::string config;
  std::string listen, backend, certificate, key;  ///< The quick start without a file.
};
struct DemoOptions {
  std::string listen = "127.0.0.1:8443";
  std::string backend;  ///< Empty: the built-in one.
  std::string admin = "127.0.0.1:9464";
};

/// One function a command, each in a file of its name. They return the exit code.
[[nodiscard]] int run_command(const RunOptions& options);
[[nodiscard]] int demo_command(const DemoOptions& options);
[[nodiscard]] int check_command(const std::string& config);
[[nodiscard]] int show_command(const std::string& config);
[[nodiscard]] int ticket_key_new_command();

}  // namespace headgate
