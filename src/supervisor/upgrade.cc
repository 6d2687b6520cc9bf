#include "supervisor/upgrade.h"

#include <unistd.h>

#include <utility>

#include "supervisor/inherited_counters.h"
#include "supervisor/inherited_servers.h"
#include "supervisor/start_barrier.h"
#include "worker/moving_connections.h"

namespace headgate {
namespace {

/// Shorter than the time for which the process before waits for the notice that all connections are at work.
constexpr Duration kStartPatience = std::chrono::seconds(8);

/// A connection on its way to a worker.
struct Arrival {
  HandoverConnection connection;
  Fd client, backend;
};

std::vector<std::string> counters_at_upgrade(const MetricsRegistry& registry, const StateBoard& board,
                                             const std::map<std::string, std::uint64_t>& left,
                                             std::uint64_t moved) {
  ProcessState state = board.copy();
  state.handover[{"moved", ""}] += moved;
  for (const auto& [reason, count] : left) state.handover[{"left", reason}] += count;
  ++state.handovers_ok;
  std::vector<std::string> lines = counters_to_leave(registry, state);
  for (std::string& line : servers_to_leave(state)) lines.push_back(std::move(line));
  return lines;
}

}  // namespace

Result<Predecessor::Inheritance> Upgrade::inherited_sockets() {
  if (predecessor_) return predecessor_->receive_sockets();
  auto activated = systemd::take_activated_sockets();
  if (!activated) return tl::unexpected(std::move(activated.error()));
  return Predecessor::Inheritance{.sockets = *std::move(activated)};
}

// The connections wait in the inboxes of the workers, which have not started.
Result<void> Upgrade::inherit(const Snapshot& snapshot) {
  std::size_t taken = 0;
  const auto take = [&](HandoverConnection connection, Fd client, Fd backend) -> Result<void> {
    if (auto can = can_take_in(snapshot, connection); !can) return can;
    auto arrival =
        std::make_shared<Arrival>(Arrival{std::move(connection), std::move(client), std::move(backend)});
    Worker* worker = &parts_.workers.at(taken++ % parts_.workers.size());
    worker->post([worker, arrival] {
      take_in(*worker, std::move(arrival->connection), std::move(arrival->client),
              std::move(arrival->backend));
    });
    return {};
  };
  const auto count = [&](const std::vector<std::string>& lines) {
    inherit_counters(lines, parts_.registry, parts_.board);
    inherit_servers(lines, snapshot, Clock::now());
  };
  auto received = predecessor_->receive_connections(take, count);
  if (received)
    parts_.log.info(
        "took over connections from the old process",
        {{"connections", static_cast<std::int64_t>(taken)}, {"pid", static_cast<std::int64_t>(::getpid())}});
  return received;
}

// The connections wait in the workers' inboxes. Each worker builds them and then waits at the barrier, so
// that a failure in building has not moved a byte, nor accepted a client.
Result<void> Upgrade::take_over() {
  auto barrier = std::make_shared<StartBarrier>();
  const std::size_t count = parts_.workers.size();
  for (std::size_t i = 0; i < count; ++i) {
    parts_.workers.at(i).post([worker = &parts_.workers.at(i), barrier] {
      if (barrier->wait_for_verdict() == StartBarrier::Verdict::kGo) return wake_all(*worker);
      worker->stop_accepting("", Worker::Waiting::kLeave);
      release_quiescent(*worker);
    });
  }
  Result<void> serving = parts_.workers.start();
  if (serving && !barrier->wait_for_workers(count, Clock::now() + kStartPatience)) {
    serving = fail(ErrorKind::kSystem, "not all workers started within 8 s");
  }
  if (serving) serving = predecessor_->say_serving();
  if (serving)
    parts_.sockets.apply_all(parts_.log);  // until then the process before may carry on with the sockets
  barrier->decide(serving ? StartBarrier::Verdict::kGo : StartBarrier::Verdict::kGiveUp);
  if (!serving) refuse(serving.error().what);  // at once: a worker that hangs delays the end of this process
  return serving;
}

void Upgrade::refuse(const std::string& why) {
  if (predecessor_) predecessor_->refuse(why);
}

void Upgrade::begin() {
  auto refusal = site_.refusal();
  if (successor_) refusal = {"another upgrade is running"};
  if (refusal) return parts_.log.warn("upgrade refused: " + refusal->why);
  parts_.log.info("upgrading", {{"program", std::string_view(site_.program)}});
  const auto told =
      [&inbox = parts_.inbox, ended = lifeline_.guard([this](const Successor::Outcome& outcome) {
        this->ended(outcome);
      })](const Successor::Outcome& outcome) { inbox.post([ended, outcome] { ended(outcome); }); };
  successor_ = std::make_unique<Successor>(site_of_successor(), told);
}

// The functions that run on the upgrade's thread refer to objects that outlive this object, and so outlive
// the thread.
Successor::Site Upgrade::site_of_successor() const {
  auto sockets = parts_.sockets.held();
  auto given = admin_door_.held();
  for (auto* one : {&given.all, &given.metrics}) {
    if (one->descriptor) sockets.push_back(std::move(*one));
  }
  const auto admin = std::make_shared<ListeningSockets::AdminSockets>(admin_door_.held());
  return {.start = site_.start,
          .layers = site_.layers(),
          .sockets = std::move(sockets),
          .certificates = site_.certificates(),
          .ask_workers =
              [&workers = parts_.workers](const Workers::Work& work) { return workers.ask_and_wait(work); },
          .close_admin = admin_door_.close,
          .open_admin = [admin, open = admin_door_.open] { open(std::move(*admin)); },
          .counters = [&registry = parts_.registry, &board = parts_.board](
                          const auto& left,
                          std::uint64_t moved) { return counters_at_upgrade(registry, board, left, moved); },
          .still_wanted = site_.still_wanted};
}

void Upgrade::ended(const Successor::Outcome& outcome) {
  successor_.reset();
  if (!outcome.succeeded) {
    parts_.board.update([](ProcessState& state) { ++state.handovers_failed; });
    parts_.log.error("the upgrade failed: this process carries on with everything",
                     {{"why", std::string_view(outcome.failure)}});
    systemd::notify_status("serving; the last upgrade failed");
    return;
  }
  std::int64_t left = 0;
  for (const auto& [reason, count] : outcome.left) left += static_cast<std::int64_t>(count);
  parts_.log.info("upgraded: the new process serves", {{"pid", static_cast<std::int64_t>(outcome.process)},
                                                       {"moved", static_cast<std::int64_t>(outcome.moved)},
                                                       {"left", left}});
  systemd::notify_main_process(outcome.process);
  site_.handed_over();
}

}  // namespace headgate
