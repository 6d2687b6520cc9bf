#pragma once

#include <chrono>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/import.h"
#include "cli/import_directive.h"
#include "cli/nginx_file.h"
#include "config/config.h"

namespace headgate {

/// The lines that hold in one `server` of `stream`: its own, and those of `stream` that it does not replace.
class NginxScope {
 public:
  /// The lines outlive this object.
  NginxScope(std::string directory, std::vector<Directive*> lines)
      : directory_(std::move(directory)), lines_(std::move(lines)) {}

  /// The lines `name`, in their order.
  [[nodiscard]] std::vector<Directive*> all(std::string_view name) const;
  /// The lines with one of `names`, in their order.
  [[nodiscard]] std::vector<Directive*> all_of(std::initializer_list<std::string_view> names) const;
  /// The last line `name`; nullptr if there is none.
  [[nodiscard]] Directive* find(std::string_view name) const;
  /// The value of the last line `name`, empty without one. Looking at it does not take it.
  [[nodiscard]] std::string look(std::string_view name) const;
  [[nodiscard]] bool is_on(std::string_view name) const { return nginx_switch(look(name)) == true; }
  /// Takes the lines `name` and returns the value of the last one. One with a variable is left.
  std::string take(std::string_view name);
  /// The same as a path, which begins in the directory of the file.
  std::string take_path(std::string_view name);
  /// The path `text` below the directory of the file.
  [[nodiscard]] std::string path(const std::string& text) const;
  /// Takes a time of at least 1 ms; returns whether there is one.
  bool take_time(std::string_view name, std::chrono::milliseconds& into);
  /// Takes "on" or "off"; `otherwise` if the line is missing or says something else.
  bool take_switch(std::string_view name, bool otherwise);

 private:
  std::string directory_;
  std::vector<Directive*> lines_;
};

/// What `stream` says for all of its servers.
struct NginxStream {
  std::string directory;
  std::vector<NginxLine*> maps;
  std::vector<NginxLine*> upstreams;
  std::map<std::string, Directive*> zones;  ///< The `limit_conn_zone` lines, by the name of the zone.
  std::map<std::string, int> zone_users;    ///< How many listeners count in a zone.
};

/// Whether `text` has a variable.
[[nodiscard]] inline bool has_variable(std::string_view text) {
  return text.find('$') != std::string_view::npos;
}

/// Lines that change neither access nor TLS nor where a connection goes, and what to do in the place of some
/// that do.
[[nodiscard]] const KnownLosses& nginx_losses();

}  // namespace headgate
