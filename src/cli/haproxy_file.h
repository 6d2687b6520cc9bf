#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/import.h"
#include "cli/import_directive.h"

/// A haproxy.cfg as it is written: sections of lines of words. import_haproxy() knows what the words mean.
namespace headgate {

enum class HaproxySectionKind { kGlobal, kDefaults, kFrontend, kBackend, kListen, kOther };

struct HaproxySection {
  HaproxySectionKind kind = HaproxySectionKind::kOther;
  Directive header;
  std::vector<Directive> lines;

  [[nodiscard]] const std::string& name() const { return header.value(); }
  [[nodiscard]] int line() const { return header.line(); }
};

/// The sections of the file `text`, in its order. Says of lines before the first section, and of lines with
/// variables of the environment, that they are not read.
[[nodiscard]] std::vector<HaproxySection> haproxy_sections(std::string_view text, Imported& into);

/// A `frontend`, `backend` or `listen` section with the lines that it has from its `defaults` section. The
/// sections outlive it.
struct HaproxyProxy {
  HaproxySection* section = nullptr;
  std::vector<Directive*> lines;  ///< Those of the `defaults` section first.

  [[nodiscard]] const std::string& name() const { return section->name(); }
  /// Whether the last "disabled" or "enabled" says that HAProxy leaves this section out.
  [[nodiscard]] bool is_disabled() const;
};

/// The settings of the `global` section that all others use.
struct HaproxyGlobal {
  std::string directory;  ///< Of the file.
  std::string crt_base, ca_base;
  std::string ciphers, cipher_suites, curves;
  std::vector<Directive*> bind_options;  ///< The lines of ssl-default-bind-options.
  bool verify_servers = true;            ///< ssl-server-verify.

  [[nodiscard]] std::string certificate_path(const std::string& path) const;
  [[nodiscard]] std::string ca_path(const std::string& path) const;
};

/// "30s", "5m", "500ms"; a bare number is milliseconds.
[[nodiscard]] std::optional<std::chrono::milliseconds> haproxy_time(std::string_view text);

}  // namespace headgate
