#include "supervisor/state_dump.h"

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "worker/connection_walk.h"

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

WorkerState state_of(const PhaseCounts& by_phase) {
  WorkerState state;
  for (const auto& [phase, count] : by_phase) {
    state.connections += count;
    state.phases.append(state.phases.empty() ? "" : ", ")
        .append(phase)
        .append(" ")
        .append(std::to_string(count));
  }
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

void count_phases(Worker& worker, std::function<void(const PhaseCounts&)> done) {
  auto by_phase = std::make_shared<PhaseCounts>();
  const auto look = [by_phase](const Connection& connection) {
    ++(*by_phase)[name(connection.phase())];
    return std::size_t{0};
  };
  ConnectionWalk::begin(worker, look, [by_phase, done = std::move(done)] { done(*by_phase); });
}

void write_state(Log& log, StatusReport status, Workers& workers) {
  auto answers = std::make_shared<Answers>();
  const Workers::LongWork ask = [answers](Worker& worker, std::function<void()> done) {
    count_phases(worker,
                 [answers, index = worker.index(), done = std::move(done)](const PhaseCounts& counts) {
                   {
                     const std::lock_guard lock(answers->mutex);
                     answers->by_worker[index] = state_of(counts);
                   }
                   done();
                 });
  };
  workers.ask(ask, [&log, answers, status = std::move(status)](Workers::Heard) {
    write_process(log, status.process);
    write_workers(log, status, *answers);
    write_listeners(log, status);
    write_drains(log, status.process);
  });
}

}  // namespace headgate
