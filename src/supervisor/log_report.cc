#include "supervisor/log_report.h"

#include <utility>

namespace headgate {

std::vector<std::string> log_diagnostics(const Diagnostics& diagnostics, const config::Places& places,
                                         Log& log) {
  std::vector<config::Fault> faults;
  for (const auto& diagnostic : diagnostics) faults.push_back(fault_of(diagnostic, places));
  return log_faults(faults, log);
}

std::vector<std::string> log_faults(const std::vector<config::Fault>& faults, Log& log) {
  std::vector<std::string> errors;
  for (const auto& fault : faults) {
    if (fault.warning) {
      log.write(fault.note ? LogLevel::kInfo : LogLevel::kWarn, fault.text());
    } else {
      errors.push_back(fault.text());
    }
  }
  return errors;
}

void log_health(const HealthChange& change, Log& log) {
  log.write(change.up ? LogLevel::kInfo : LogLevel::kWarn, change.up ? "server is up" : "server is down",
            {{"backend", change.server->backend()}, {"server", change.server->label()}, {"why", change.why}});
}

}  // namespace headgate
