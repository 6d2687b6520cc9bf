#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace headgate {

/// What the loss of a line of another program's file means.
enum class Loss {
  kHarmless,  ///< A matter of the process, of logs or of tuning; or Headgate does it in a way of its own.
  kRule,  ///< A rule about access, TLS, or where a connection goes: without it the result is another set-up.
};

class Directive;

/// A line of another program's file, or a word of it, that the translation lacks or has in another way.
struct Remark {
  int line = 0;  ///< From 1.
  std::string what;
  Loss loss = Loss::kRule;
  std::string file{};  ///< Empty: the file that is imported; else one that it includes.
  bool operator==(const Remark&) const = default;
};

/// Another program's configuration as Headgate's, and a remark for each line that is not in it. The loader
/// checks whether it is complete (has a listener, has a backend).
struct Imported {
  config::Config config;
  std::vector<Remark> remarks;

  void note(int line, std::string what) { remarks.push_back({line, std::move(what), Loss::kHarmless}); }
  void lose(int line, std::string what) { remarks.push_back({line, std::move(what), Loss::kRule}); }
  void note(const Directive& at, std::string what);
  void lose(const Directive& at, std::string what);
  [[nodiscard]] bool lost_a_rule() const;
};

/// A file to import.
struct ImportSource {
  std::string_view text;
  std::string directory{};  ///< Where the file's relative paths begin; empty: they stay as they are.
};

/// Read a configuration file of hitch 1.5 and later, of stunnel 5, of HAProxy 2, the `stream` of one of nginx
/// 1.11 and later, a file with command lines of ghostunnel 1. Whatever the text is, they return the part that
/// they understood, and a remark for every line that they did not. They ask the file system only about paths
/// that the text names: whether they are directories, and for lists of certificates; nginx's includes are
/// read. Any thread.
[[nodiscard]] Imported import_hitch(const ImportSource& source);
[[nodiscard]] Imported import_stunnel(const ImportSource& source);
[[nodiscard]] Imported import_haproxy(const ImportSource& source);
[[nodiscard]] Imported import_nginx(const ImportSource& source);
[[nodiscard]] Imported import_ghostunnel(const ImportSource& source);

/// A program whose configuration can be imported.
struct ImportFormat {
  const char* name;  ///< As `headgate import` takes it.
  const char* what;  ///< What its file is, for the help.
  Imported (*read)(const ImportSource& source);
};
inline constexpr std::array kImportFormats{
    ImportFormat{"hitch", "A configuration file of hitch", import_hitch},
    ImportFormat{"stunnel", "A configuration file of stunnel", import_stunnel},
    ImportFormat{"haproxy", "A configuration file of HAProxy", import_haproxy},
    ImportFormat{"nginx", "A configuration file of nginx with a stream block", import_nginx},
    ImportFormat{"ghostunnel", "A script, systemd unit or list of arguments that starts ghostunnel",
                 import_ghostunnel},
};

}  // namespace headgate
