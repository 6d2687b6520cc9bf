#include "backend/group.h"

#include <netinet/in.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "backend/slow_start.h"
#include "base/check.h"
#include "base/mix.h"

namespace headgate {
namespace {

constexpr std::uint64_t kFnvOffset = 0xCBF29CE484222325U;

/// FNV-1a: the same on every machine, so that all instances of a fleet send a source to the same server.
std::uint64_t hash_bytes(std::string_view bytes) {
  std::uint64_t hash = kFnvOffset;
  for (const char c : bytes) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001B3U;
  return hash;
}

/// The hash of the IP address without its port. An IPv4-mapped address counts as IPv4; all unix sockets count
/// as one source.
std::uint64_t hash_source(const Address& source) {
  if (source.family() == AF_INET) {
    const auto& ip = reinterpret_cast<const sockaddr_in*>(source.data())->sin_addr;
    return hash_bytes({reinterpret_cast<const char*>(&ip), sizeof ip});
  }
  if (source.family() == AF_INET6) {
    const auto& ip = reinterpret_cast<const sockaddr_in6*>(source.data())->sin6_addr;
    const std::string_view bytes{reinterpret_cast<const char*>(&ip), sizeof ip};
    return hash_bytes(IN6_IS_ADDR_V4MAPPED(&ip) ? bytes.substr(12) : bytes);
  }
  return kFnvOffset;
}

bool was_tried(std::span<const Tried> tried, std::size_t index) {
  return std::any_of(tried.begin(), tried.end(), [&](const Tried& t) { return t.index == index; });
}

bool was_tried(std::span<const Tried> tried, std::size_t index, const Address& address) {
  return std::any_of(tried.begin(), tried.end(),
                     [&](const Tried& t) { return t.index == index && t.address == address; });
}

bool has_untried(std::span<const Tried> tried, std::size_t index, const ServerState::Addresses& addresses) {
  return std::any_of(addresses.begin(), addresses.end(),
                     [&](const ResolvedAddress& one) { return !was_tried(tried, index, one.address); });
}

bool is_avoided(const ServerCounters& counters, const Address& address, TimePoint now) {
  return std::any_of(counters.avoided.begin(), counters.avoided.end(),
                     [&](const ServerCounters::Avoided& avoided) {
                       return avoided.until > now && avoided.address == address;
                     });
}

}  // namespace

Result<std::shared_ptr<const BackendGroup>> BackendGroup::build(const config::Backend& config,
                                                                ServerDirectory& directory) {
  auto group = std::make_shared<BackendGroup>();
  group->config = config;
  if (const auto source = Address::from_ip(config.source, 0)) group->own_end.address = *source;
  group->queue = directory.queue(config.name);
  for (const config::Server& server : config.servers) {
    auto state = directory.state(config.name, server.address);
    if (!state) return fail_in("backend " + config.name, state.error());
    group->servers.push_back({server, *std::move(state)});
  }
  return group;
}

const ServerState::Addresses& ServerCounters::current_addresses() {
  // The version is read before the addresses: what changes in between is fetched again at the next call.
  const std::uint64_t version = state->addresses_version();
  if (version != addresses_version) {
    addresses = state->addresses();
    addresses_version = version;
    address_credits.clear();
  }
  return *addresses;
}

void ServerLease::release() {
  if (!counters_) return;
  --counters_->active;
  if (place_ == Place::kTaken) counters_->state->give_place_back();
  counters_.reset();
}

std::string_view name(NoServer why) {
  switch (why) {
    case NoServer::kAllDown:
      return "all_down";
    case NoServer::kUnresolved:
      return "unresolved";
    case NoServer::kAllFull:
      return "all_full";
    case NoServer::kAllTried:
      return "all_tried";
  }
  return "all_down";
}

GroupPicker::GroupPicker(std::shared_ptr<const BackendGroup> group, const GroupPicker* previous,
                         std::uint64_t seed)
    : group_(std::move(group)), random_(static_cast<std::minstd_rand::result_type>(mix(seed))) {
  std::int64_t turns = 0;
  for (const Server& server : group_->servers) {
    std::shared_ptr<ServerCounters> counters;
    for (std::size_t i = 0; previous != nullptr && i < previous->counters_.size(); ++i) {
      if (previous->counters_[i]->state == server.state) counters = previous->counters_[i];
    }
    counters_.push_back(counters ? std::move(counters) : std::make_shared<ServerCounters>(server.state));
    label_hashes_.push_back(hash_bytes(server.config.address));
    weights_.push_back(server.config.weight * kWholeShare);
    turns += server.config.weight;
  }
  candidates_.reserve(counters_.size());
  if (previous != nullptr || turns == 0) return;
  // Each worker starts at another point of the round. Otherwise the first server would get the first
  // connection of every worker.
  constexpr std::uint64_t kMaxTurnsAhead = 1024;
  for (std::size_t i = 0; i < counters_.size(); ++i) candidates_.push_back(i);
  const std::uint64_t ahead = std::min(mix(seed) % static_cast<std::uint64_t>(turns), kMaxTurnsAhead);
  for (std::uint64_t turn = 0; turn < ahead; ++turn) static_cast<void>(choose_by_turn());
}

struct GroupPicker::Shortlist {
  static constexpr int kTriedBefore = 1, kEjected = 2, kNobody = 4;
  int rank = kNobody;  // what holds of the servers, added up; the least is the best
  NoServer why_nobody = NoServer::kAllDown;
  bool some_full = false;       // a place may become free
  bool some_well_full = false;  // at a server that is not ejected
};

/// Fills candidates_ with the servers of the best rank.
GroupPicker::Shortlist GroupPicker::shortlist(std::span<const Tried> tried, TimePoint now) {
  Shortlist best;
  candidates_.clear();
  // Of several reasons, reports the one that is nearest to success.
  const auto nobody = [&](NoServer why) { best.why_nobody = std::max(best.why_nobody, why); };
  for (std::size_t i = 0; i < counters_.size(); ++i) {
    const Server& server = group_->servers[i];
    ServerCounters& counters = *counters_[i];
    if (server.config.weight == 0 || !server.state->is_up()) continue;
    const bool again = was_tried(tried, i);
    const auto& addresses = counters.current_addresses();
    if (addresses.empty()) {
      nobody(NoServer::kUnresolved);
    } else if (again && !has_untried(tried, i, addresses)) {
      nobody(NoServer::kAllTried);
    } else if (is_full(i) && counters.spares.places == 0) {
      best.some_full = true;
      best.some_well_full = best.some_well_full || counters.ejected_until <= now;
    } else {
      const int rank =
          (again ? Shortlist::kTriedBefore : 0) + (counters.ejected_until > now ? Shortlist::kEjected : 0);
      if (rank < best.rank) candidates_.clear();
      best.rank = std::min(best.rank, rank);
      if (rank != best.rank) continue;
      candidates_.push_back(i);
      weigh(i, now);
    }
  }
  if (best.some_full) best.why_nobody = NoServer::kAllFull;
  const bool may_wait = best.some_well_full && group_->config.queue.size > 0;
  if (may_wait && best.rank >= Shortlist::kEjected) candidates_.clear();
  return best;
}

bool GroupPicker::is_full(std::size_t index) const {
  const Server& server = group_->servers[index];
  return server.config.max_connections > 0 && server.state->places_taken() >= server.config.max_connections;
}

std::size_t GroupPicker::places_to_come(std::span<const Tried> tried, TimePoint now) {
  std::size_t places = 0;
  for (std::size_t i = 0; i < counters_.size(); ++i) {
    const Server& server = group_->servers[i];
    if (server.config.weight == 0 || !server.state->is_up()) continue;
    // Where there is a queue, no ejected server is tried while a full one is well.
    if (group_->config.queue.size > 0 && counters_[i]->ejected_until > now) continue;
    if (!has_untried(tried, i, counters_[i]->current_addresses())) continue;
    const std::uint32_t most = server.config.max_connections;
    places += server.state->places_of_spares();
    places += most - std::min(most, server.state->places_taken());
  }
  return places;
}

/// Takes a place at a server with max_connections: that of a spare, which the client gets, or which ends.
/// False: another worker has taken the last one since the list was made.
bool GroupPicker::take_place(std::size_t index) {
  SparesOfServer& spares = counters_[index]->spares;
  const Server& server = group_->servers[index];
  if (spares.places == 0) return server.state->take_place(server.config.max_connections);
  --spares.places;
  server.state->remove_place_of_spare();
  return true;
}

/// The checks, which all workers see, and this worker's own failures may both have kept the server away.
void GroupPicker::weigh(std::size_t index, TimePoint now) {
  const Duration slow_start = group_->config.slow_start;
  if (slow_start.count() == 0) return;
  const ServerCounters& counters = *counters_[index];
  const TimePoint back_since = std::max(counters.back_since, counters.state->back_since());
  weights_[index] = group_->servers[index].config.weight * share_of_weight(back_since, now, slow_start);
}

tl::expected<Choice, NoServer> GroupPicker::pick(const Address& source, std::span<const Tried> tried,
                                                 TimePoint now) {
  const Shortlist best = shortlist(tried, now);
  if (candidates_.empty()) return tl::unexpected(best.why_nobody);
  while (!candidates_.empty()) {
    const std::size_t index = choose(source);
    const Server& server = group_->servers[index];
    const bool bounded = server.config.max_connections > 0;
    if (bounded && !take_place(index)) {
      std::erase(candidates_, index);
      continue;
    }
    ServerLease lease(counters_[index],
                      bounded ? ServerLease::Place::kTaken : ServerLease::Place::kNotCounted);
    return Choice{index, choose_address(index, source, tried, now), std::move(lease)};
  }
  return tl::unexpected(NoServer::kAllFull);
}

std::size_t GroupPicker::choose(const Address& source) {
  if (candidates_.size() == 1) return candidates_.front();
  switch (group_->config.balance) {
    case config::Balance::kRoundRobin:
      return choose_by_turn();
    case config::Balance::kLeastConnections:
      return choose_least_loaded();
    case config::Balance::kRandomTwo:
      return choose_of_two();
    case config::Balance::kSourceHash:
      return choose_by_source(hash_source(source));
  }
  return candidates_.front();
}

/// Smooth weighted round robin: each server earns its weight as credit; the one with the most credit is
/// chosen and pays what all have earned. Servers of weight 5, 1 and 1 come as a a b a c a a, never as a run
/// of five.
std::size_t GroupPicker::next_by_turn(std::span<std::int64_t> credits) const {
  std::int64_t total = 0;
  std::size_t richest = candidates_.front();
  for (const std::size_t i : candidates_) {
    credits[i] += weight(i);
    total += weight(i);
    if (credits[i] > credits[richest]) richest = i;
  }
  credits[richest] -= total;
  return richest;
}

std::size_t GroupPicker::choose_by_turn() {
  const std::span<std::int64_t> credits = read_credits();
  const std::size_t chosen = next_by_turn(credits);
  for (const std::size_t i : candidates_) counters_[i]->credit = credits[i];
  return chosen;
}

std::span<std::int64_t> GroupPicker::read_credits() {
  credits_.resize(counters_.size());
  for (std::size_t i = 0; i < counters_.size(); ++i) credits_[i] = counters_[i]->credit;
  return credits_;
}

/// Whether one more connection would weigh less on `a` than on `b`.
bool GroupPicker::less_loaded(std::size_t a, std::size_t b) const {
  return (std::int64_t{counters_[a]->active} + 1) * weight(b) <
         (std::int64_t{counters_[b]->active} + 1) * weight(a);
}

std::size_t GroupPicker::choose_least_loaded() {
  // Begins at a random place, so that of several equal servers not always the first is chosen.
  const std::size_t start = random_() % candidates_.size();
  std::size_t best = candidates_[start];
  for (std::size_t n = 1; n < candidates_.size(); ++n) {
    const std::size_t other = candidates_[(start + n) % candidates_.size()];
    const bool has_more = !counters_[other]->spares.ready.empty() && counters_[best]->spares.ready.empty();
    if (less_loaded(other, best) || (has_more && !less_loaded(best, other))) best = other;
  }
  return best;
}

std::size_t GroupPicker::random_by_weight() {
  std::int64_t total = 0;
  for (const std::size_t i : candidates_) total += weight(i);
  std::int64_t left = std::uniform_int_distribution<std::int64_t>(0, total - 1)(random_);
  for (const std::size_t i : candidates_) {
    left -= weight(i);
    if (left < 0) return i;
  }
  return candidates_.back();
}

std::size_t GroupPicker::choose_of_two() {
  const std::size_t first = random_by_weight();
  const std::size_t second = random_by_weight();
  return less_loaded(second, first) ? second : first;
}

/// Weighted rendezvous hashing: each server draws a number from source and label, the highest wins. When a
/// server is added or removed, only the sources that it wins, or had won, move.
std::size_t GroupPicker::choose_by_source(std::uint64_t source_hash) const {
  std::size_t best = candidates_.front();
  double best_score = -std::numeric_limits<double>::infinity();
  for (const std::size_t i : candidates_) {
    const std::uint64_t drawn = mix(source_hash ^ mix(label_hashes_[i]));
    // 53 bits as a number between 0 and 1, both excluded.
    const double uniform = (static_cast<double>(drawn >> 11) + 0.5) * 0x1.0p-53;
    const double score = -static_cast<double>(weight(i)) / std::log(uniform);
    if (score > best_score) {
      best_score = score;
      best = i;
    }
  }
  return best;
}

/// Fills eligible_addresses_ with those of the best rank that this connection has not tried. An address that
/// failed lately is eligible only when there is no other; then the lowest priority is the best.
void GroupPicker::find_eligible_addresses(std::size_t index, std::span<const Tried> tried, TimePoint now) {
  constexpr std::uint32_t kAvoided = 1U << 16;  // above every priority
  const ServerCounters& counters = *counters_[index];
  const ServerState::Addresses& addresses = *counters.addresses;
  std::uint32_t best = 2 * kAvoided;
  eligible_addresses_.clear();
  for (std::size_t at = 0; at < addresses.size(); ++at) {
    const ResolvedAddress& one = addresses[at];
    if (was_tried(tried, index, one.address)) continue;
    const std::uint32_t rank = one.priority + (is_avoided(counters, one.address, now) ? kAvoided : 0);
    if (rank < best) eligible_addresses_.clear();
    best = std::min(best, rank);
    if (rank == best) eligible_addresses_.push_back(at);
  }
}

/// The eligible addresses take turns by their weights, as servers do, and a spare connection has had its turn
/// when it was made; with `source_hash` each source keeps its address.
Address GroupPicker::choose_address(std::size_t index, const Address& source, std::span<const Tried> tried,
                                    TimePoint now) {
  const ServerCounters& counters = *counters_[index];
  const ServerState::Addresses& addresses = *counters.addresses;
  if (addresses.size() == 1) return addresses.front().address;
  find_eligible_addresses(index, tried, now);
  // The shortlist has only servers with an address that this connection has not tried.
  HG_CHECK(!eligible_addresses_.empty());
  if (group_->config.balance == config::Balance::kSourceHash) {
    auto left = static_cast<std::int64_t>(mix(hash_source(source)) %
                                          static_cast<std::uint64_t>(weight_of_eligible(addresses)));
    for (const std::size_t at : eligible_addresses_) {
      left -= addresses[at].weight;
      if (left < 0) return addresses[at].address;
    }
  }
  for (auto spare = counters.spares.ready.rbegin(); spare != counters.spares.ready.rend(); ++spare) {
    for (const std::size_t at : eligible_addresses_) {
      if (addresses[at].address == *spare) return *spare;
    }
  }
  return next_address(index);
}

std::int64_t GroupPicker::weight_of_eligible(const ServerState::Addresses& addresses) const {
  std::int64_t total = 0;
  for (const std::size_t at : eligible_addresses_) total += addresses[at].weight;
  return total;
}

/// The eligible address whose turn it is.
const Address& GroupPicker::next_address(std::size_t index) {
  ServerCounters& counters = *counters_[index];
  const ServerState::Addresses& addresses = *counters.addresses;
  std::vector<std::int64_t>& credits = counters.address_credits;
  credits.resize(addresses.size());
  std::size_t richest = eligible_addresses_.front();
  for (const std::size_t at : eligible_addresses_) {
    credits[at] += addresses[at].weight;
    if (credits[at] > credits[richest]) richest = at;
  }
  credits[richest] -= weight_of_eligible(addresses);
  return addresses[richest].address;
}

void GroupPicker::on_connected(const ServerLease& lease, const Address& address, TimePoint now) {
  ServerCounters& counters = *lease.counters_;
  counters.failures_in_row = 0;
  counters.ejected_until = {};
  counters.state->readmit();
  counters.back_since = std::min(counters.back_since, now);
  std::erase_if(counters.avoided,
                [&](const ServerCounters::Avoided& avoided) { return avoided.address == address; });
}

FailureOutcome GroupPicker::on_failed(const ServerLease& lease, const Address& address, TimePoint now) {
  ServerCounters& counters = *lease.counters_;
  // One client's address says nothing about the next one's.
  if (counters.state->endpoint().is_original()) return FailureOutcome::kCounted;
  avoid(counters, address, now);
  const config::Ejection& ejection = group_->config.ejection;
  if (ejection.failures == 0 || ++counters.failures_in_row < ejection.failures)
    return FailureOutcome::kCounted;
  counters.failures_in_row = ejection.failures - 1;
  counters.ejected_until = now + ejection.for_time;
  counters.state->eject(counters.ejected_until);
  counters.back_since = counters.ejected_until;
  return FailureOutcome::kEjected;
}

void GroupPicker::avoid(ServerCounters& counters, const Address& address, TimePoint now) {
  std::erase_if(counters.avoided, [&](const ServerCounters::Avoided& avoided) {
    return avoided.until <= now || avoided.address == address;
  });
  if (counters.addresses->size() > 1)
    counters.avoided.push_back({address, now + group_->config.ejection.for_time});
}

bool GroupPicker::avoid_address(std::size_t index, const Address& address, TimePoint now) {
  ServerCounters& counters = *counters_[index];
  avoid(counters, address, now);
  return std::ranges::any_of(counters.current_addresses(), [&](const ResolvedAddress& one) {
    return one.address != address && !is_avoided(counters, one.address, now);
  });
}

bool GroupPicker::turn_to_other_family(Choice& choice, std::span<const Tried> tried, TimePoint now) {
  ServerCounters& counters = *counters_[choice.index];
  const int refused = choice.address.family();
  const bool has_both = std::any_of(tried.begin(), tried.end(), [&](const Tried& before) {
    return before.index == choice.index && before.address.family() != refused;
  });
  if (has_both) return false;
  const ServerState::Addresses& addresses = counters.current_addresses();
  const ResolvedAddress* best = nullptr;
  for (const ResolvedAddress& one : addresses) {
    if (one.address.family() == refused) continue;
    if (best == nullptr || one.priority < best->priority) best = &one;
  }
  if (best == nullptr) return false;
  avoid(counters, choice.address, now);
  choice.address = best->address;
  return true;
}

ServerLease GroupPicker::adopt(std::string_view label) {
  for (std::size_t i = 0; i < counters_.size(); ++i) {
    const Server& server = group_->servers[i];
    if (server.config.address != label) continue;
    const bool bounded = server.config.max_connections > 0;
    const bool taken = bounded && server.state->take_place(std::numeric_limits<std::uint32_t>::max());
    return {counters_[i], taken ? ServerLease::Place::kTaken : ServerLease::Place::kNotCounted};
  }
  return {};
}

}  // namespace headgate
