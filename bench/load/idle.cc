#include <algorithm>
#include <iostream>
#include <memory>
#include <vector>

#include "echoed.h"
#include "measure.h"
#include "modes.h"

namespace headgate::bench {
void run_idle(const Options& options) {
  Poller poller;
  Target target(options);
  std::vector<std::unique_ptr<Echoed>> connections;
  for (std::size_t wanted = 0; std::cin >> wanted;) {
    const TimePoint latest = Clock::now() + std::chrono::minutes(1);
    while (connections.size() < wanted) {
      const std::size_t begun = connections.size();
      const std::size_t now = std::min(kOpenedAtOnce, wanted - begun);
      for (std::size_t i = 0; i < now; ++i) connections.push_back(std::make_unique<Echoed>(poller, target));
      const auto rest = [](const auto& each) { return each->at_rest(); };
      while (
          !std::all_of(connections.begin() + static_cast<std::ptrdiff_t>(begun), connections.end(), rest)) {
        if (Clock::now() > latest) give_up("only some " + std::to_string(begun) + " connections in a minute");
        poller.turn(latest);
      }
    }
    // One round trip each, so that the proxy has connected to the backend too.
    for (const auto& each : connections) each->ask();
    while (!std::ranges::all_of(connections, [](const auto& each) { return each->at_rest(); })) {
      if (Clock::now() > latest) give_up("no answer in a minute");
      poller.turn(latest);
    }
    Report report;
    report.add("operations", static_cast<double>(connections.size()));
    report.print();
  }
}

}  // namespace headgate::bench
