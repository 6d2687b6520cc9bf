#include "worker/worker.h"

#include <pthread.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <random>
#include <system_error>
#include <utility>

#include "base/crash_stack.h"
#include "base/out_of_memory.h"
#include "base/thread_signals.h"
#include "base/time_slice.h"
#include "net/plain_stream.h"
#include "worker/clients_without_certificate.h"
#include "worker/listener_places.h"

namespace headgate {
namespace {

// Long enough for the first answer to a client, with which session tickets can travel; short enough that a
// client which wants its tickets does not notice.
constexpr Duration kHoldBack = std::chrono::milliseconds(5);

// Closing a socket does not wait for its turn of the loop, and a full queue is 4,096 clients by default. At
// some 30 us each, those of an ordinary moment are all accepted in this time, and established connections
// hardly notice.
constexpr Duration kForLastClients = std::chrono::milliseconds(20);

constexpr Duration kSecond = std::chrono::seconds(1);
constexpr Duration kDescriptorWarningInterval = std::chrono::seconds(10);

// One operation runs and one waits, so that the other thread never idles and the admission queue still
// decides.
constexpr std::size_t kOffloadedAtOnce = 2;

// Ids differ among the workers: the upper bits hold the worker's index.
constexpr int kIndexShift = 48;

/// libev aborts where it gets no descriptor for a loop: epoll, its timer, and an eventfd or a pipe. Their
/// number grows with `workers`, so this asks first.
Result<void> check_room_for_loop() {
  std::array<Fd, 4> room;
  for (Fd& one : room) {
    one = Fd(::eventfd(0, EFD_CLOEXEC));
    if (!one) return fail_errno("no descriptors are left for a worker", errno);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Worker>> Worker::make(const Options& options, Log& log, MetricsRegistry& registry) {
  auto library = LibraryContext::make();
  if (!library) return tl::unexpected(std::move(library.error()));
  if (auto room = check_room_for_loop(); !room) return tl::unexpected(std::move(room.error()));
  return std::unique_ptr<Worker>(new Worker(options, *std::move(library), log, registry));
}

Worker::Worker(const Options& options, std::unique_ptr<LibraryContext> library, Log& log,
               MetricsRegistry& registry)
    : options_(options),
      log_(log),
      metrics_(registry.loop(options.index)),
      library_(std::move(library)),
      inbox_(loop_),
      handshakes_(buffers_, *library_),
      admission_(*this, metrics_, std::random_device()()),
      spares_(loop_, transport_, *this, log_, [this](std::function<void()> work) { post(std::move(work)); }),
      services_{loop_,     buffers_,   transport_,  handshakes_, admission_, *this,          log_, limiter_,
                recorder_, known_tls_, unfinished_, spares_,     pipes_,     options.access, {}},
      turn_(loop_, this, &Worker::before_wait, &Worker::after_wait),
      flush_timer_(loop_, this, Timer::Calls<&Worker::flush_due>()),
      second_timer_(loop_, this, Timer::Calls<&Worker::second_over>()),
      last_words_timer_(loop_, this, Timer::Calls<&Worker::last_words_over>()),
      crypto_offload_(std::make_unique<CryptoOffload>(
          inbox_, [this](const CryptoOffload::Task& task) { operation_finished(task); })),
      next_id_((static_cast<std::uint64_t>(options.index) << kIndexShift) + 1) {}

Worker::~Worker() {
  stop();
}

Result<void> Worker::start() {
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    return fail_errno("cannot start the thread of worker " + std::to_string(options_.index),
                      error.code().value());
  }
  return {};
}

void Worker::stop() {
  if (!thread_.joinable()) return;
  post([this] {
    remove_acceptors([](const Bound&) { return true; });
    end_spares_where_idle();
    end_all(CloseReason::kCut);
    loop_.stop();
  });
  thread_.join();
  crypto_offload_.reset();
}

Result<std::shared_ptr<const LibraryContext>> Worker::offload_library() {
  if (!offload_library_) {
    auto made = LibraryContext::make();
    if (!made) return tl::unexpected(std::move(made.error()));
    offload_library_ = *std::move(made);
  }
  return offload_library_;
}

void Worker::run() {
  const CrashStack crash_stack;
  block_process_signals();
  take_short_time_slices();
  pthread_setname_np(pthread_self(), ("worker-" + std::to_string(options_.index)).c_str());
  turn_began_ = Clock::now();
  each_second();
  loop_.run();
  log_left_out(TimePoint::max());
  empty_morgue();
}

void Worker::adopt(std::shared_ptr<WorkerSnapshot> snapshot, config::AccessLog access) {
  snapshot->adopt(snapshot_.get(), std::random_device()());
  const bool bounds_more = bounds_more_listeners(*snapshot, snapshot_.get());
  snapshot_ = std::move(snapshot);
  spares_.adopt(snapshot_);
  if (bounds_more) count_for_listeners(*this);
  services_.access = access;
  count_connections();
  peers_.adopt(snapshot_);
  if (may_refuse_clients_without_certificate(*snapshot_)) end_clients_without_certificate_soon();
}

void Worker::run_on(std::optional<std::size_t> cpu, const CpuSet& all) {
  if (!cpu && !is_bound_) return;  // the operator may have chosen the thread's CPUs from outside
  is_bound_ = cpu.has_value();
  CpuSet own = all;
  if (cpu) {
    own = CpuSet();
    own.add(*cpu);
  }
  metrics_.cpu_and_one.set(cpu ? *cpu + 1 : 0);
  crypto_offload_->run_on(all);
  if (own.bind(pthread_self())) return;
  metrics_.cpu_and_one.set(0);
  log_.warn("a worker cannot be bound to its CPU: it runs on any", {{"worker", options_.index}});
}

void Worker::listen(BoundSocket socket) {
  const std::string& listener = socket.listener;
  auto acceptor = std::make_unique<Acceptor>(
      loop_, std::move(socket.socket), [this](Acceptor& waiting) { newcomers_.push(waiting); },
      [this, listener](Fd client, const Address& source) { accepted(listener, std::move(client), source); },
      [this, listener](bool refused) { out_of_descriptors(listener, refused); },
      [this] { return give_up_descriptors(services_); });
  acceptors_.push_back({socket.listener, socket.bind, std::move(acceptor)});
  spares_.begin();
}

template <class Predicate>
void Worker::accept_last_where(Predicate predicate) {
  const TimePoint end = Clock::now() + kForLastClients;
  for (const Bound& bound : acceptors_) {
    if (predicate(bound)) bound.acceptor->accept_waiting(end);
  }
}

template <class Predicate>
void Worker::remove_acceptors(Predicate predicate) {
  std::erase_if(acceptors_, [&](const Bound& bound) {
    if (!predicate(bound)) return false;
    newcomers_.remove(*bound.acceptor);
    return true;
  });
}

/// A worker that accepts nobody needs no spares.
void Worker::end_spares_where_idle() {
  if (acceptors_.empty()) spares_.end();
}

void Worker::accept_last(const std::vector<Place>& gone) {
  accept_last_where([&](const Bound& bound) { return bound.is_among(gone); });
}

void Worker::change_sockets(const std::vector<Place>& close, std::vector<BoundSocket> open) {
  remove_acceptors([&](const Bound& bound) { return bound.is_among(close); });
  for (BoundSocket& socket : open) listen(std::move(socket));
  end_spares_where_idle();
}

void Worker::stop_accepting(const std::string& listener, Waiting waiting) {
  const auto is_meant = [&](const Bound& bound) { return listener.empty() || bound.listener == listener; };
  if (waiting == Waiting::kAccept) accept_last_where(is_meant);
  remove_acceptors(is_meant);
  end_spares_where_idle();
}

void Worker::ping() {
  post([this] { answered_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed); });
}

void Worker::end_all(CloseReason reason) {
  for (std::size_t i = connections_.size(); i-- > 0;) connections_[i]->end(reason);
}

void Worker::cut_all(std::function<void()> done) {
  cut_done_ = std::move(done);
  last_words_timer_.set(Clock::now() + kLastWords);
  end_all(CloseReason::kCut);
}

void Worker::last_words_over(void* self) {
  static_cast<Worker*>(self)->tell_when_cut(true);
}

void Worker::tell_when_cut(bool is_late) {
  if (!cut_done_ || (!is_late && !connections_.empty())) return;
  last_words_timer_.stop();
  std::exchange(cut_done_, nullptr)();
}

// A limit that a reload brings counts the connections that are there. None that it refused is among them:
// they are destroyed in the turn in which they came.
void Worker::count_connections() {
  const bool counts = snapshot_->shared->config.limits.max_connections > 0;
  if (std::exchange(counts_connections_, counts) == counts) return;
  ProcessCounters& counters = *snapshot_->shared->counters;
  counts ? counters.add(connections_.size()) : counters.remove(connections_.size());
}

// Nothing: the connection has a place now.
std::optional<Worker::Refusal> Worker::refusal(TimePoint now) const {
  const config::ProcessLimits& limits = snapshot_->shared->config.limits;
  ProcessCounters& counters = *snapshot_->shared->counters;
  if (counters.is_near(limits.max_memory, now))
    return Refusal{CloseReason::kMemoryLimit, "limits.max_memory"};
  if (!counts_connections_ || counters.enter(limits.max_connections)) return std::nullopt;
  return Refusal{CloseReason::kConnectionLimit, "limits.max_connections of the process"};
}

void Worker::add(std::unique_ptr<Connection> connection) {
  keep(std::move(connection));
  if (counts_connections_) snapshot_->shared->counters->add(1);
}

void Worker::keep(std::unique_ptr<Connection> connection) {
  connection->slot = static_cast<std::uint32_t>(connections_.size());
  connections_.push_back(std::move(connection));
}

void Worker::accepted(const std::string& listener_name, Fd client, const Address& source) {
  ListenerState* listener = snapshot_->find_listener(listener_name);
  if (listener == nullptr) return;
  listener->metrics->accepted.add();
  const bool had_memory = done_unless_out_of_memory([&] {
    ConnectionInfo info;
    info.id = next_id_++;
    info.client = SourceAddress(source);
    info.accepted = Clock::now();
    keep(std::make_unique<Connection>(services_, snapshot_, *listener,
                                      std::make_unique<PlainStream>(std::move(client)), std::move(info)));
  });
  if (!had_memory) return listener->metrics->closed[static_cast<std::size_t>(CloseReason::kInternal)].add();
  Connection& connection = *connections_.back();
  const auto refused = refusal(connection.info().accepted);
  if (!refused) return connection.resume();
  connection.has_no_place = true;
  connection.end(refused->reason, refused->limit);
}

void Worker::out_of_descriptors(const std::string& listener_name, bool refused) {
  metrics_.accept_pauses.add();
  ListenerState* listener = snapshot_->find_listener(listener_name);
  if (refused && listener != nullptr) {
    listener->metrics->accepted.add();
    listener->metrics->closed[static_cast<std::size_t>(CloseReason::kOutOfDescriptors)].add();
  }
  if (Clock::now() - last_descriptor_warning_ < kDescriptorWarningInterval) return;
  last_descriptor_warning_ = Clock::now();
  static_cast<void>(done_unless_out_of_memory([&] {
    log_.error(
        "out of file descriptors: accepting pauses; raise LimitNOFILE or lower limits.max_connections",
        {{"listener", listener_name}, {"connections", static_cast<std::int64_t>(connections_.size())}});
  }));
}

std::function<void()> Worker::waker(Connection& connection) {
  const std::uint64_t id = connection.info().id;
  to_wake_[id] = &connection;
  return [this, id] {
    post([this, id] {
      if (const auto found = to_wake_.find(id); found != to_wake_.end()) found->second->resume();
    });
  };
}

void Worker::forget_waker(Connection& connection) {
  to_wake_.erase(connection.info().id);
}

void Worker::bury(Connection& connection) {
  offloading_.erase(connection.info().id);
  peers_.remove(connection);
  some_not_in_morgue_ =
      !done_unless_out_of_memory([&] { morgue_.push_back(&connection); }) || some_not_in_morgue_;
}

void Worker::call_again(Connection& connection) {
  to_call_.push_back(&connection);
  turn_.stay_awake(true);
}

void Worker::flush_soon(Connection& connection) {
  if (connection.flush_due) return;
  connection.flush_due = true;
  if (to_flush_.empty()) flush_timer_.set(Clock::now() + kHoldBack);
  to_flush_.push_back(&connection);
}

void Worker::offload(Connection& connection, std::shared_ptr<PrivateKeyOperation> operation) {
  Offloading& waits = offloading_[connection.info().id];
  if (waits.operation == operation) return;  // it is under way already
  waits = {.connection = &connection, .operation = operation};
  crypto_offload_->run({.connection = connection.info().id,
                        .listener = connection.listener().policy->config.name,
                        .operation = std::move(operation)});
}

// The handshake may have begun before the rules changed, and the old rules may have let its peer in.
void Worker::client_let_in(Connection& connection) {
  const bool has_new_rules = &connection.snapshot() != snapshot_.get();
  if (connection.info().peer) {
    peers_.add(connection);
    if (has_new_rules) peers_.evaluate_soon(connection);
  } else if (has_new_rules && is_refused_without_certificate(connection, *snapshot_)) {
    end_clients_without_certificate_soon();
  }
}

void Worker::end_clients_without_certificate_soon() {
  if (std::exchange(looks_for_clients_without_certificate_, true)) return;
  post([this] {
    looks_for_clients_without_certificate_ = false;
    end_clients_without_certificate(*this);
  });
}

void Worker::evaluate_soon(Connection& connection) {
  if (!connection.info().peer) return;
  peers_.add(connection);
  peers_.evaluate_soon(connection);
}

void Worker::operation_finished(const CryptoOffload::Task& task) {
  const auto found = offloading_.find(task.connection);
  // The connection has ended, or given that handshake up and begun another one.
  if (found == offloading_.end() || found->second.operation != task.operation) return;
  Connection& connection = *found->second.connection;
  offloading_.erase(found);
  const TimePoint began = Clock::now();
  connection.operation_finished(task.cpu);
  shares_.operations_had(Clock::now() - began);
}

bool Worker::has_room() const {
  return crypto_offload_->pending() < kOffloadedAtOnce;
}

void Worker::flush_due(void* self) {
  static_cast<Worker*>(self)->flush_held_back();
}

void Worker::flush_held_back() {
  for (Connection* connection : std::exchange(to_flush_, {})) {
    connection->flush_due = false;
    if (!connection->is_buried()) connection->flush_held_back();
  }
}

void Worker::second_over(void* self) {
  auto* worker = static_cast<Worker*>(self);
  worker->metrics_.loop_lag.observe(Clock::now() -
                                    worker->second_due_);  // only this shows a lack of CPU time
  worker->each_second();
}

void Worker::each_second() {
  static_cast<void>(done_unless_out_of_memory([this] { log_summaries(); }));
  peers_.look_for_expired();
  tcp_sampler_.sample(connections_);
  second_due_ = Clock::now() + kSecond;
  second_timer_.set(second_due_);
}

void Worker::log_summaries() {
  log_left_out(Clock::now());
}

void Worker::log_left_out(TimePoint until) {
  for (const auto& summary : limiter_.take_summaries(until)) {
    log_.warn(summary.text(), {{"listener", summary.listener},
                               {"reason", summary.reason},
                               {"count", static_cast<std::int64_t>(summary.left_out)}});
  }
}

// The loop has served all connections that were ready: now the handshakes get their slice, then the loop
// sleeps if no work is left.
void Worker::before_wait(void* self) {
  auto* worker = static_cast<Worker*>(self);
  worker->call_those_with_work();
  const bool peers_left = unless_out_of_memory(true, [worker] { return worker->peers_.work(); });
  worker->serve_handshakes();
  worker->turn_.stay_awake(peers_left || worker->newcomers_.has_queued() || worker->admission_.has_work() ||
                           !worker->to_call_.empty());
  worker->empty_morgue();
  worker->tell_when_cut(false);
  worker->account_for_turn(Clock::now());
}

void Worker::serve_handshakes() {
  const TurnShares::Share share = shares_.take_turn(!newcomers_.empty(), !admission_.empty());
  if (share == TurnShares::Share::kNobody) return;
  const TimePoint began = Clock::now();
  if (share == TurnShares::Share::kNewcomers) {
    newcomers_.serve();
    shares_.newcomers_had(Clock::now() - began);
  } else {
    admission_.serve();
    shares_.permits_had(Clock::now() - began);
  }
}

void Worker::after_wait(void* self) {
  auto* worker = static_cast<Worker*>(self);
  worker->turn_began_ = Clock::now();
}

void Worker::call_those_with_work() {
  for (Connection* connection : std::exchange(to_call_, {})) {
    if (!connection->is_buried()) connection->resume();
  }
}

void Worker::account_for_turn(TimePoint now) {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  metrics_.loop_lag.observe(now - turn_began_);
  metrics_.busy_us.add(static_cast<std::uint64_t>(duration_cast<microseconds>(now - turn_began_).count()));
}

void Worker::empty_morgue() {
  for (Connection* dead : std::exchange(morgue_, {})) destroy(*dead);
  // Those for which the morgue had no memory.
  if (std::exchange(some_not_in_morgue_, false)) {
    for (std::size_t i = connections_.size(); i-- > 0;) {
      if (connections_[i]->is_buried()) destroy(*connections_[i]);
    }
  }
  empty_.store(connections_.empty() && acceptors_.empty(), std::memory_order_relaxed);
  if (connections_.empty() && connections_.capacity() > 4096) connections_.shrink_to_fit();
}

void Worker::destroy(Connection& dead) {
  if (dead.flush_due) std::erase(to_flush_, &dead);
  newcomers_.remove(dead);
  std::erase(to_call_, &dead);
  if (counts_connections_ && !dead.has_no_place) snapshot_->shared->counters->remove(1);
  const std::uint32_t slot = dead.slot;
  std::swap(connections_[slot], connections_.back());
  connections_[slot]->slot = slot;
  connections_.pop_back();
}

}  // namespace headgate
