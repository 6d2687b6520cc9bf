#include "supervisor/state_dump.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace headgate {
namespace {

struct WorkerState {
  std::uint64_t connections = 0;
  std::string phases{};  // "relay 12, handshake 3"
};

void write(Log& log, std::string_view message, std::initializer_list<LogField> fields) {
  log.write_always(LogLevel::kInfo, message, {fields.begin(), fields.size()});
}

std::int64_t number(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

WorkerState state_of(const Worker& worker) {
  std::map<std::string_view, std::uint64_t> by_phase;
  for (const auto& connection : worker.connections()) ++by_phase[name(connection->phase())];
  WorkerState state{.connections = worker.connections().size()};
  for (const auto& [phase, count] : by_phase)
    state.phases.append(state.phases.empty() ? "" : ", ")
        .append(phase)
        .append(" ")
        .append(std::to_string(count));
  return state;
}

void write_process(Log& log, const ProcessState& process) {
  write(log, "state of the process",
        {{"version", std::string_view(process.version)},
         {"draining", std::string_view(process.draining ? "true" : "false")},
         {"reloads_ok", number(process.reload.ok)},
         {"reloads_failed", number(process.reload.failed)},
         {"certificates", number(certificates_held(process))},
         {"log_lines_dropped", number(process.log_lines_dropped)}});
}

void write_listeners(Log& log, const StatusReport& status) {
  for (const auto& [listener, totals] : status.listeners) {
    write(log, "state of a listener",
          {{"listener", std::string_view(listener)},
           {"accepted", number(totals.accepted)},
           {"active", number(totals.active)},
           {"handshakes_ok", number(totals.handshakes_ok)},
           {"handshakes_failed", number(totals.handshakes_failed)},
           {"bytes_from_client", number(totals.bytes_from_client)},
           {"bytes_to_client", number(totals.bytes_to_client)}});
  }
}

/// The answers of the workers, each from its own thread. Shared: a worker that answers late still finds it.
struct Answers {
  std::mutex mutex;
  std::map<int, WorkerState> by_worker;
};

void write_workers(Log& log, const StatusReport& status, Answers& answers) {
  const std::lock_guard lock(answers.mutex);
  for (const WorkerTotals& totals : status.workers) {
    const auto answer = answers.by_worker.find(totals.worker);
    const bool hangs = answer == answers.by_worker.end();
    const WorkerState state = hangs ? WorkerState{.phases = "unknown: it does not answer"} : answer->second;
    write(log, "state of a worker",
          {{"worker", static_cast<std::int64_t>(totals.worker)},
           {"connections", number(state.connections)},
           {"phases", std::string_view(state.phases)},
           {"handshakes_in_progress", number(totals.handshakes_in_progress)},
           {"handshakes_queued", number(totals.handshakes_queued)}});
  }
}

void write_drains(Log& log, const ProcessState& process) {
  for (const DrainReport& drain : process.drains) {
    write(log, "state of a drain",
          {{"what", std::string_view(drain.what)},
           {"at_start", number(drain.at_start)},
           {"remaining", number(drain.remaining)},
           {"oldest_ms", drain.oldest.count()}});
  }
}

}  // namespace

void write_state(Log& log, StatusReport status, Workers& workers) {
  auto answers = std::make_shared<Answers>();
  const auto ask = [answers](Worker& worker) {
    WorkerState state = state_of(worker);
    const std::lock_guard lock(answers->mutex);
    answers->by_worker[worker.index()] = std::move(state);
  };
  workers.ask(ask, [&log, answers, status = std::move(status)](Workers::Heard) {
    write_process(log, status.process);
    write_workers(log, status, *answers);
    write_listeners(log, status);
    write_drains(log, status.process);
  });
}

}  // namespace headgate
