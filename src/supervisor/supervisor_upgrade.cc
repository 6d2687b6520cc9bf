#include <unistd.h>

#include <utility>

#include "supervisor/inherited_counters.h"
#include "supervisor/start_barrier.h"
#include "supervisor/supervisor.h"
#include "supervisor/systemd.h"
#include "worker/moving_connections.h"

/// An upgrade as the supervisor sees it: from the process before, and to the next one.
namespace headgate {
namespace {

/// Shorter than the process before waits for the word that all is at work.
constexpr Duration kStartPatience = std::chrono::seconds(8);

}  // namespace

// The connections wait in the inboxes of the workers, which have not started.
Result<void> Supervisor::inherit() {
  std::size_t taken = 0;
  const auto take = [&](HandoverConnection connection, Fd client, Fd backend) -> Result<void> {
    if (auto can = can_take_in(*snapshot_, connection); !can) return can;
    struct Arrival {
      HandoverConnection connection;
      Fd client, backend;
    };
    auto arrival =
        std::make_shared<Arrival>(Arrival{std::move(connection), std::move(client), std::move(backend)});
    Worker* worker = workers_[taken++ % workers_.size()].get();
    worker->post([worker, arrival] {
      take_in(*worker, std::move(arrival->connection), std::move(arrival->client),
              std::move(arrival->backend));
    });
    return {};
  };
  const auto count = [this](const std::vector<std::string>& lines) {
    inherit_counters(lines, registry_, board_);
  };
  auto received = predecessor_->receive_connections(take, count);
  if (received)
    log_.info("took over", {{"connections", static_cast<std::int64_t>(taken)},
                            {"pid", static_cast<std::int64_t>(::getpid())}});
  return received;
}

void Supervisor::upgrade() {
  if (is_draining()) return log_.warn("no upgrade: the process is draining");
  if (successor_) return log_.warn("no upgrade: one is under way");
  if (const std::string file = canaries_.unsettled(); !file.empty()) {
    return log_.warn(
        "no upgrade: the new process would give the file's certificate to all, and it is not settled",
        {{"certificate", std::string_view(file)}});
  }
  log_.info("upgrading", {{"program", settings_.program.path}});
  Successor::Site site{
      .sockets = sockets_.held(),
      .ask_workers = [this](const std::function<void(Worker&)>& ask) { return ask_workers(ask); },
      .close_admin = admin_door_.close,
      .open_admin = admin_door_.open,
      .counters = [this](const auto& left, std::uint64_t moved) { return counters_at_upgrade(left, moved); },
      .still_wanted = [this] { return !is_draining(); }};
  const auto ended = [this](const Successor::Outcome& outcome) {
    inbox_.post([this, outcome] { upgrade_ended(outcome); });
  };
  successor_ = std::make_unique<Successor>(settings_.program, std::move(site), ended);
}

void Supervisor::upgrade_ended(const Successor::Outcome& outcome) {
  successor_.reset();
  if (!outcome.succeeded) {
    log_.error("the upgrade failed: this process carries on with everything", {{"why", outcome.failure}});
    systemd::notify_status("serving; the last upgrade failed");
    return;
  }
  std::int64_t left = 0;
  for (const auto& [reason, count] : outcome.left) left += static_cast<std::int64_t>(count);
  log_.info("upgraded: the new process serves", {{"pid", static_cast<std::int64_t>(outcome.process)},
                                                 {"moved", static_cast<std::int64_t>(outcome.moved)},
                                                 {"left", left}});
  systemd::notify_main_process(outcome.process);
  drain_all(snapshot_->config.drain_deadline);
}

std::vector<std::string> Supervisor::counters_at_upgrade(const std::map<std::string, std::uint64_t>& left,
                                                         std::uint64_t moved) const {
  ProcessState state = board_.copy();
  state.handover[{"moved", ""}] += moved;
  for (const auto& [reason, count] : left) state.handover[{"left", reason}] += count;
  return counters_to_leave(registry_, state);
}

// The connections wait in the workers' inboxes. Each worker builds them and then waits at the line, so that
// whatever goes wrong with that has not moved a byte, nor accepted anybody.
Result<void> Supervisor::take_over() {
  auto line = std::make_shared<StartBarrier>();
  for (auto& worker : workers_) {
    worker->post([worker = worker.get(), line] {
      if (line->wait_for_verdict() == StartBarrier::Verdict::kGo) return wake_all(*worker);
      worker->stop_accepting("");
      release_quiescent(*worker);
    });
    worker->start();
  }
  Result<void> serving = fail(ErrorKind::kSystem, "a worker does not get ready to serve");
  if (line->wait_for_workers(workers_.size(), Clock::now() + kStartPatience))
    serving = predecessor_->say_serving();
  if (serving) sockets_.apply_options();  // until then the process before may carry on with them
  line->decide(serving ? StartBarrier::Verdict::kGo : StartBarrier::Verdict::kGiveUp);
  if (serving) {
    publish_start();
  } else {
    predecessor_->refuse(
        serving.error().what);  // at once: a worker that hangs holds the end of this process up
  }
  return serving;
}

}  // namespace headgate
