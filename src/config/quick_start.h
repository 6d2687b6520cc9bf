#pragma once

#include <string>

#include "config/load.h"

namespace headgate::config {

/// What the command line gives instead of a file. Paths are relative to the working directory.
struct QuickStart {
  std::string listen;       ///< As `listeners[].bind`: ":8443".
  std::string backend;      ///< As `backends.*.servers[]`: "127.0.0.1:8080".
  std::string certificate;  ///< PEM file.
  std::string key;          ///< PEM file; empty: in the certificate's file.
  std::string admin;        ///< As `admin.bind`: "127.0.0.1:9464" or "off".
};

/// One listener "quick" that terminates TLS for one backend "app"; everything else has its default. Faults
/// name the option instead of a file: `--listen: ...`. Any thread.
[[nodiscard]] Loaded quick_start(const QuickStart& options);

}  // namespace headgate::config
