#include "cli/commands.h"
#include "cli/run_process.h"
#include "config/quick_start.h"

namespace headgate {

int run_command(const RunOptions& options) {
  if (!options.config.empty()) {
    return run_process({.load = [file = options.config] { return config::load_file(file); },
                        .config_file = options.config,
                        .program = own_program()});
  }
  const config::QuickStart quick{.listen = options.listen,
                                 .backend = options.backend,
                                 .certificate = options.certificate,
                                 .key = options.key,
                                 .admin = options.admin};
  return run_process(
      {.load = [quick] { return config::quick_start(quick); }, .config_file = "", .program = own_program()});
}

}  // namespace headgate
