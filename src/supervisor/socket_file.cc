#include "supervisor/socket_file.h"

#include <optional>
#include <string>

#include "supervisor/privileges.h"

namespace headgate {
namespace {

/// The user or group called `name`, looked up by `number_of`; nothing for an empty name.
template <class Number>
Result<std::optional<Number>> look_up(const std::string& name,
                                      Result<Number> (*number_of)(const std::string&)) {
  if (name.empty()) return std::optional<Number>();
  return number_of(name).map([](Number number) { return std::optional(number); });
}

}  // namespace

Result<SocketFile> socket_file_of(const config::Bind& bind) {
  const auto owner = look_up(bind.owner, user_number);
  if (!owner) return fail_in("owner", owner.error());
  const auto group = look_up(bind.group, group_number);
  if (!group) return fail_in("group", group.error());
  return SocketFile{.mode = bind.mode, .owner = *owner, .group = *group};
}

Diagnostics unknown_owners(const config::Config& config) {
  Diagnostics found;
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    const auto& binds = config.listeners[i].bind;
    for (std::size_t at = 0; at < binds.size(); ++at) {
      const std::string key = "listeners[" + std::to_string(i) + "].bind[" + std::to_string(at) + "].";
      const auto tell = [&](const auto& number, const char* name) {
        if (!number) found.push_back({Severity::kError, "", number.error().what, key + name});
      };
      tell(look_up(binds[at].owner, user_number), "owner");
      tell(look_up(binds[at].group, group_number), "group");
    }
  }
  return found;
}

}  // namespace headgate
