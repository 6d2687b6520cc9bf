#include "supervisor/start_keys.h"

namespace headgate {

StartKeys::StartKeys(const config::Config& started)
    : admin_(started.admin),
      metrics_(started.admin_metrics),
      format_(started.log.format),
      user_(started.user),
      group_(started.group),
      sandbox_(started.sandbox) {}

std::vector<std::string> StartKeys::changed_in(const config::Config& now) const {
  std::vector<std::string> keys;
  if (now.admin != admin_) keys.emplace_back("admin.bind");
  if (now.admin_metrics != metrics_) keys.emplace_back("admin.metrics_bind");
  if (now.log.format != format_) keys.emplace_back("log.format");
  if (now.user != user_) keys.emplace_back("user");
  if (now.group != group_) keys.emplace_back("group");
  if (now.sandbox != sandbox_) keys.emplace_back("sandbox");
  return keys;
}

}  // namespace headgate
