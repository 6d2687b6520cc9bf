#include "supervisor/foreign_addresses.h"

#include "net/socket.h"

namespace headgate {

std::optional<std::string> user_of_foreign_addresses(const config::Config& config) {
  for (const config::Listener& listener : config.listeners) {
    if (listener.transparent) return "listener " + listener.name + ", `transparent`";
  }
  for (const auto& [name, backend] : config.backends) {
    if (backend.source == config::kClientSource) return "backend " + name + ", `source: client`";
  }
  return std::nullopt;
}

Result<void> check_foreign_addresses(const config::Config& config) {
  const auto user = user_of_foreign_addresses(config);
  if (!user) return {};
  auto may = check_may_be_transparent();
  return may ? may : fail_in(*user, may.error());
}

}  // namespace headgate
