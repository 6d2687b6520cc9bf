#include "worker/spare_pool.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/descriptor_limit.h"

namespace headgate {
namespace {

// Health, ejections and addresses change without a word to the workers.
constexpr Duration kBetweenLooks = std::chrono::seconds(1);

// Spares that were made together do not grow old together.
constexpr std::uint_fast32_t kAgeSpreadPercent = 20;

// A new descriptor has the lowest free number, which tells how many are in use.
bool leaves_few(int descriptor) {
  const std::uint64_t limit = descriptor_limit();
  return limit > 0 && std::cmp_greater_equal(descriptor, limit * SparePool::kDescriptorsPercent / 100);
}

}  // namespace

SparePool::SparePool(Parts parts, const BackendState& backend, std::uint64_t generation,
                     PlaceQueue::Wake asked)
    : parts_(std::move(parts)),
      backend_(&backend),
      generation_(generation),
      servers_(backend.picker->group().servers.size()),
      random_(static_cast<std::minstd_rand::result_type>(parts_.host.now().time_since_epoch().count())) {
  move_to(backend, std::move(asked));
}

SparePool::~SparePool() {
  discard_all(SpareEnd::kUnwanted);
  for (ServerMetrics* metrics : backend_->metrics) metrics->spares_stopped.set(0);
}

void SparePool::move_to(const BackendState& backend, PlaceQueue::Wake asked) {
  holder_.reset();
  backend_ = &backend;
  holder_ = picker().group().queue->add_spare_holder(std::move(asked));
  for (std::size_t i = 0; i < servers_.size(); ++i) publish(i);
}

bool SparePool::is_bounded(std::size_t index) const {
  return config().servers[index].max_connections > 0;
}

std::unique_ptr<Stream> SparePool::take(const Choice& choice) {
  OfServer& server = servers_[choice.index];
  std::unique_ptr<Stream> taken;
  for (std::size_t i = server.spares.size(); i-- > 0 && !taken;) {
    Spare& spare = *server.spares[i];
    if (spare.condition() != Spare::Condition::kReady || spare.address() != choice.address) continue;
    // Its end may be in the socket, where the loop has not seen it yet.
    if (!look_at(spare)) continue;
    taken = spare.release();
    server.spares.erase(server.spares.begin() + static_cast<std::ptrdiff_t>(i));
  }
  settle(choice.index);
  publish(choice.index);
  parts_.wants_upkeep();
  if (!taken) return nullptr;
  server.pause = {};
  server.paused_until = {};
  backend_->metrics[choice.index]->spares_used.add();
  return taken;
}

void SparePool::place_taken(const ServerState& server) {
  const auto& servers = picker().group().servers;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    if (servers[i].state.get() == &server) settle(i);
  }
}

bool SparePool::look_at(Spare& spare) {
  const TimePoint now = parts_.host.now();
  const Spare::Condition before = spare.condition();
  const Duration lived = spare.lived(now);
  const std::size_t index = spare.server();
  const Spare::Condition condition = spare.look(now);
  if (condition == Spare::Condition::kEnded || condition == Spare::Condition::kFailed) {
    const SpareEnd cut = spare.has_heard() ? SpareEnd::kSpoke : SpareEnd::kEnded;
    if (condition == Spare::Condition::kFailed) {
      connect_failed(index, spare.address(), now);
    } else {
      pause(index, lived, now);
    }
    discard(spare, condition == Spare::Condition::kFailed ? SpareEnd::kFailed : cut);
  } else if (condition != before) {
    publish(index);
  }
  const bool is_ready = condition == Spare::Condition::kReady;
  if (condition != before && !is_ready) parts_.wants_upkeep();
  return is_ready;
}

TimePoint SparePool::upkeep(TimePoint now, int& budget) {
  for (std::size_t i = 0; i < servers_.size(); ++i) check(i, now);
  fill(now, budget);
  return next_look(now);
}

void SparePool::check(std::size_t index, TimePoint now) {
  OfServer& server = servers_[index];
  const bool away = !picker().may_have_spares(index, now);
  if (std::exchange(server.was_away, away) && !away) {
    server.pause = {};
    server.paused_until = {};
  }
  if (!server.stopped && picker().group().servers[index].state->speaks_first(generation_)) stop(index);
  for (std::size_t i = server.spares.size(); i-- > 0;) {
    const Spare& spare = *server.spares[i];
    const auto why = why_unfit(spare, now);
    if (!why) continue;
    if (*why == SpareEnd::kFailed) connect_failed(index, spare.address(), now);
    discard(spare, *why);
    if (*why == SpareEnd::kSpoke && !server.stopped) return stop(index);
  }
  settle(index);
}

std::optional<SpareEnd> SparePool::why_unfit(const Spare& spare, TimePoint now) const {
  const std::size_t index = spare.server();
  if (servers_[index].was_away || !picker().has_address(index, spare.address())) return SpareEnd::kServerAway;
  switch (spare.condition()) {
    case Spare::Condition::kConnecting:
      if (now - spare.since() >= config().connect_timeout) return SpareEnd::kFailed;
      break;
    case Spare::Condition::kReady:
      if (spare.is_old(now)) return SpareEnd::kOld;
      break;
    case Spare::Condition::kSpoken:
      if (now - spare.since() >= kGreetingPatience) return SpareEnd::kSpoke;
      break;
    case Spare::Condition::kEnded:
    case Spare::Condition::kFailed:
      break;
  }
  return std::nullopt;
}

bool SparePool::may_grow(std::size_t index, TimePoint now) const {
  const OfServer& server = servers_[index];
  const bool place_wanted = is_bounded(index) && places_wanted_until_ > now;
  return !server.stopped && server.paused_until <= now && !place_wanted;
}

void SparePool::fill(TimePoint now, int& budget) {
  const BackendGroup& group = picker().group();
  if (group.queue->has_any_waiting()) return;
  for (;;) {
    counts_.clear();
    std::uint32_t held = 0;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      counts_.push_back({static_cast<std::uint32_t>(servers_[i].spares.size()), may_grow(i, now)});
      held += counts_.back().held;
    }
    if (held >= group.config.preconnect || budget <= 0) return;
    const auto choice = picker().choose_for_spare(counts_, group.config.preconnect, now);
    if (!choice || !make(*choice, now)) return;
    --budget;
  }
}

/// Begins to connect a spare. False: clients need the last places, or few descriptors are left.
bool SparePool::make(const SpareChoice& choice, TimePoint now) {
  const std::size_t index = choice.index;
  if (!picker().take_place_for_spare(index)) return false;
  // A client that has begun to wait meanwhile may not have seen the place of this spare. It asks for the
  // places after it has joined the line, and this looks at the line after it has taken the place.
  if (is_bounded(index) && picker().group().queue->has_any_waiting()) {
    settle(index);
    return false;
  }
  auto stream = parts_.transport.dial(choice.address, picker().group().own_end);
  if (stream ? leaves_few((*stream)->descriptor()) : is_out_of_descriptors(stream.error())) {
    count_discarded(index, SpareEnd::kDescriptors);
    settle(index);
    parts_.few_descriptors();
    return false;
  }
  if (!stream) {
    count_discarded(index, SpareEnd::kFailed);
    connect_failed(index, choice.address, now);
    settle(index);
    return true;
  }
  const auto age = static_cast<std::int64_t>(100 - random_() % (kAgeSpreadPercent + 1));
  auto spare =
      std::make_unique<Spare>(parts_.loop, *this, choice, *std::move(stream), kOldest * age / 100, now);
  Spare& made = *spare;
  servers_[index].spares.push_back(std::move(spare));
  look_at(made);  // a unix socket is connected at once
  return true;
}

/// The next spare goes to another address of the server. Where there is none that is well, it comes after a
/// pause.
void SparePool::connect_failed(std::size_t index, const Address& address, TimePoint now) {
  if (!picker().avoid_address(index, address, now)) pause(index, {}, now);
}

/// Once for all that end together.
void SparePool::pause(std::size_t index, Duration lived, TimePoint now) {
  OfServer& server = servers_[index];
  if (server.paused_until > now) return;
  server.pause =
      lived >= kWorthwhile ? kFirstPause : std::clamp<Duration>(2 * server.pause, kFirstPause, kLongestPause);
  server.paused_until = now + server.pause;
}

void SparePool::stop(std::size_t index) {
  OfServer& server = servers_[index];
  server.stopped = true;
  backend_->metrics[index]->spares_stopped.set(1);
  while (!server.spares.empty()) discard(*server.spares.back(), SpareEnd::kSpoke);
  ServerState& state = *picker().group().servers[index].state;
  if (!state.found_to_speak_first(generation_)) return;
  parts_.log.warn(
      "a server speaks first, so it gets no spare connections: take \"preconnect\" out of its backend",
      {{"backend", state.backend()}, {"server", state.label()}});
}

void SparePool::count_discarded(std::size_t index, SpareEnd why) {
  backend_->metrics[index]->spares_discarded[static_cast<std::size_t>(why)].add();
}

void SparePool::discard(const Spare& spare, SpareEnd why) {
  const std::size_t index = spare.server();
  count_discarded(index, why);
  std::erase_if(servers_[index].spares, [&](const auto& one) { return one.get() == &spare; });
  picker().keep_places_of_spares(index, servers_[index].spares.size());
  publish(index);
}

/// A client that has got the place of a spare takes it from one of them.
void SparePool::settle(std::size_t index) {
  OfServer& server = servers_[index];
  picker().keep_places_of_spares(index, server.spares.size());
  if (!is_bounded(index)) return;
  while (server.spares.size() > picker().spares(index).places)
    discard(*server.spares.back(), SpareEnd::kPlaceWanted);
}

bool SparePool::discard_all(SpareEnd why) {
  bool had_any = false;
  for (OfServer& server : servers_) {
    had_any = had_any || !server.spares.empty();
    while (!server.spares.empty()) discard(*server.spares.back(), why);
  }
  return had_any;
}

void SparePool::give_places_back() {
  places_wanted_until_ = parts_.host.now() + kPlacesWantedPause;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (!is_bounded(i)) continue;
    while (!servers_[i].spares.empty()) discard(*servers_[i].spares.back(), SpareEnd::kPlaceWanted);
  }
}

/// Tells the picker and the metrics which spares clients can have.
void SparePool::publish(std::size_t index) {
  std::vector<Address>& ready = picker().spares(index).ready;
  ready.clear();
  for (const auto& spare : servers_[index].spares) {
    if (spare->condition() == Spare::Condition::kReady) ready.push_back(spare->address());
  }
  backend_->metrics[index]->spares.set(ready.size());
}

TimePoint SparePool::next_look(TimePoint now) const {
  TimePoint next = now + kBetweenLooks;
  for (const OfServer& server : servers_) {
    if (server.paused_until > now) next = std::min(next, server.paused_until);
  }
  return next;
}

}  // namespace headgate
