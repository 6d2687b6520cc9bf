#include "backend/server.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "net/service_records.h"

namespace headgate {
namespace {

bool may_be_host_name(std::string_view host) {
  constexpr std::size_t kMaxHostNameBytes = 253;
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  };
  if (host.ends_with('.')) host.remove_suffix(1);
  // A last label of digits alone is a mistyped address ("10.0.0"), never a name.
  const auto last_label = host.substr(host.find_last_of('.') + 1);
  const bool numeric = last_label.find_first_not_of("0123456789") == last_label.npos;
  return !host.empty() && host.size() <= kMaxHostNameBytes && !numeric &&
         std::all_of(host.begin(), host.end(), allowed);
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

/// Forgets the entries whose objects are gone, whenever the map has grown to `until`: about twice what was in
/// use the last time. So thousands of servers do not each look through all others.
template <class Map>
void forget_unused(Map& map, std::size_t& until) {
  constexpr std::size_t kLeast = 64;
  if (map.size() < until) return;
  std::erase_if(map, [](const auto& entry) { return entry.second.expired(); });
  until = 2 * map.size() + kLeast;
}

}  // namespace

Result<ServerEndpoint> ServerEndpoint::parse(std::string_view text) {
  ServerEndpoint endpoint;
  if (text == config::kOriginal) {
    endpoint.literal.emplace();
    return endpoint;
  }
  // A host may be called "srv".
  if (text.starts_with(kServicePrefix) && may_be_host_name(text.substr(kServicePrefix.size()))) {
    endpoint.service = text.substr(kServicePrefix.size());
    return endpoint;
  }
  const auto colon = text.rfind(':');
  if (text.substr(0, 5) != "unix:" && colon != text.npos && may_be_host_name(text.substr(0, colon))) {
    const auto port = parse_port(text.substr(colon + 1));
    if (!port) return fail(ErrorKind::kInvalid, '"' + std::string(text) + "\": the port must be 1 to 65535");
    endpoint.host = text.substr(0, colon);
    endpoint.port = *port;
    return endpoint;
  }
  auto address = Address::parse(text);
  if (!address || text.substr(0, 1) == ":") {
    return fail(
        ErrorKind::kInvalid,
        '"' + std::string(text) + "\" is not a server: write host:port, [IPv6]:port, unix:PATH or srv:NAME");
  }
  if (!address->is_unix() && address->port() == 0) {
    return fail(ErrorKind::kInvalid, '"' + std::string(text) + "\": the port must be 1 to 65535");
  }
  endpoint.port = address->port();
  endpoint.literal = *std::move(address);
  return endpoint;
}

std::string ServerEndpoint::name_to_resolve() const {
  return service.empty() ? host : std::string(kServicePrefix) + service;
}

std::string ServerEndpoint::name() const {
  if (!literal) return host;
  return literal->is_unix() ? std::string() : literal->host_text();
}

ServerState::ServerState(std::string backend, std::string label, ServerEndpoint endpoint,
                         std::shared_ptr<PlaceQueue> queue)
    : backend_(std::move(backend)),
      label_(std::move(label)),
      endpoint_(std::move(endpoint)),
      queue_(std::move(queue)),
      addresses_(std::make_shared<const Addresses>(endpoint_.literal ? Addresses{*endpoint_.literal}
                                                                     : Addresses{})) {}

ServerState::Condition ServerState::condition() const {
  const std::lock_guard lock(condition_mutex_);
  return condition_;
}

void ServerState::set_condition(Condition condition) {
  const bool up = condition.up;
  {
    const std::lock_guard lock(condition_mutex_);
    up_.store(up, std::memory_order_seq_cst);
    condition_ = std::move(condition);
  }
  if (up) queue_->place_may_be_free();
}

void ServerState::eject(TimePoint until) {
  if (ejected_until_.exchange(until, std::memory_order_relaxed) == TimePoint())
    ejected_since_.store(std::chrono::system_clock::now(), std::memory_order_relaxed);
}

// Each connection says so, and the workers share this memory: it is written only where that changes it.
void ServerState::readmit() {
  if (ejected_until_.load(std::memory_order_relaxed) != TimePoint())
    ejected_until_.store(TimePoint(), std::memory_order_relaxed);
}

std::optional<WallTime> ServerState::ejected_since(TimePoint now) const {
  if (ejected_until_.load(std::memory_order_relaxed) <= now) return std::nullopt;
  return ejected_since_.load(std::memory_order_relaxed);
}

std::shared_ptr<const ServerState::Addresses> ServerState::addresses() const {
  const std::lock_guard lock(addresses_mutex_);
  return addresses_;
}

void ServerState::publish(Addresses addresses) {
  {
    const std::lock_guard lock(addresses_mutex_);
    if (std::is_permutation(addresses.begin(), addresses.end(), addresses_->begin(), addresses_->end()))
      return;
    addresses_ = std::make_shared<const Addresses>(std::move(addresses));
    version_.fetch_add(1, std::memory_order_release);
  }
  queue_->place_may_be_free();
}

bool ServerState::take_place(std::uint32_t most) {
  std::uint32_t taken = places_taken_.load(std::memory_order_relaxed);
  while (taken < most) {
    if (places_taken_.compare_exchange_weak(taken, taken + 1, std::memory_order_relaxed)) return true;
  }
  return false;
}

void ServerState::give_place_back() {
  places_taken_.fetch_sub(1, std::memory_order_seq_cst);
  queue_->place_may_be_free();
}

bool ServerState::found_to_speak_first(std::uint64_t generation) {
  std::uint64_t known = speaks_first_since_.load(std::memory_order_relaxed);
  while (known < generation) {
    if (speaks_first_since_.compare_exchange_weak(known, generation, std::memory_order_relaxed)) return true;
  }
  return false;
}

std::shared_ptr<PlaceQueue> ServerDirectory::queue_locked(const std::string& backend) {
  forget_unused(queues_, queues_until_forgetting_);
  auto& entry = queues_[backend];
  auto queue = entry.lock();
  if (!queue) {
    queue = std::make_shared<PlaceQueue>();
    entry = queue;
  }
  return queue;
}

std::shared_ptr<PlaceQueue> ServerDirectory::queue(const std::string& backend) {
  const std::lock_guard lock(mutex_);
  return queue_locked(backend);
}

Result<std::shared_ptr<ServerState>> ServerDirectory::state(const std::string& backend,
                                                            const std::string& server) {
  auto endpoint = ServerEndpoint::parse(server);
  if (!endpoint) return tl::unexpected(endpoint.error());
  const std::lock_guard lock(mutex_);
  forget_unused(states_, states_until_forgetting_);
  auto& entry = states_[{backend, server}];
  auto state = entry.lock();
  if (!state) {
    state = std::make_shared<ServerState>(backend, server, *std::move(endpoint), queue_locked(backend));
    entry = state;
  }
  return state;
}

std::vector<std::shared_ptr<ServerState>> ServerDirectory::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<ServerState>> states;
  for (const auto& [key, entry] : states_) {
    if (auto state = entry.lock()) states.push_back(std::move(state));
  }
  return states;
}

std::vector<std::string> ServerDirectory::names_to_resolve() const {
  std::set<std::string> names;
  for (const auto& state : all()) {
    if (!state->endpoint().literal) names.insert(state->endpoint().name_to_resolve());
  }
  return {names.begin(), names.end()};
}

void ServerDirectory::publish(const std::string& name, const ServerState::Addresses& addresses) {
  for (const auto& state : all()) {
    const ServerEndpoint& endpoint = state->endpoint();
    if (endpoint.literal || endpoint.name_to_resolve() != name) continue;
    ServerState::Addresses own = addresses;
    if (endpoint.service.empty()) {
      for (ResolvedAddress& one : own) one.address.set_port(endpoint.port);
    }
    state->publish(std::move(own));
  }
}

}  // namespace headgate
