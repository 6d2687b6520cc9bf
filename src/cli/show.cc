#include "config/show.h"

#include <iostream>

#include "cli/commands.h"
#include "cli/configuration.h"

namespace headgate {

int show_command(const std::string& config) {
  const config::Loaded loaded = load_configuration(config);
  for (const auto& fault : loaded.faults) std::cerr << fault.text() << '\n';
  if (!loaded.usable()) return kExitConfiguration;
  std::cout << config::show(loaded.config);
  return kExitDone;
}

}  // namespace headgate
