#include "backend/server.h"

#include <algorithm>
#include <charconv>
#include <set>

namespace headgate {
namespace {

bool may_be_host_name(std::string_view host) {
  constexpr std::size_t kMaxHostNameBytes = 253;
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  };
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

}  // namespace

Result<ServerEndpoint> ServerEndpoint::parse(std::string_view text) {
  ServerEndpoint endpoint;
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
    return fail(ErrorKind::kInvalid,
                '"' + std::string(text) + "\" is not a server: write host:port, [IPv6]:port or unix:PATH");
  }
  if (!address->is_unix() && address->port() == 0) {
    return fail(ErrorKind::kInvalid, '"' + std::string(text) + "\": the port must be 1 to 65535");
  }
  endpoint.port = address->port();
  endpoint.literal = *std::move(address);
  return endpoint;
}

ServerState::ServerState(std::string backend, std::string label, ServerEndpoint endpoint)
    : backend_(std::move(backend)),
      label_(std::move(label)),
      endpoint_(std::move(endpoint)),
      addresses_(std::make_shared<const Addresses>(endpoint_.literal ? Addresses{*endpoint_.literal}
                                                                     : Addresses{})) {}

ServerState::Condition ServerState::condition() const {
  const std::lock_guard lock(condition_mutex_);
  return condition_;
}

void ServerState::set_condition(Condition condition) {
  const std::lock_guard lock(condition_mutex_);
  up_.store(condition.up, std::memory_order_relaxed);
  condition_ = std::move(condition);
}

std::shared_ptr<const ServerState::Addresses> ServerState::addresses() const {
  const std::lock_guard lock(addresses_mutex_);
  return addresses_;
}

void ServerState::publish(Addresses addresses) {
  const std::lock_guard lock(addresses_mutex_);
  if (std::is_permutation(addresses.begin(), addresses.end(), addresses_->begin(), addresses_->end())) return;
  addresses_ = std::make_shared<const Addresses>(std::move(addresses));
  version_.fetch_add(1, std::memory_order_release);
}

bool ServerState::take_place(std::uint32_t most) {
  std::uint32_t taken = places_taken_.load(std::memory_order_relaxed);
  while (taken < most) {
    if (places_taken_.compare_exchange_weak(taken, taken + 1, std::memory_order_relaxed)) return true;
  }
  return false;
}

Result<std::shared_ptr<ServerState>> ServerDirectory::state(const std::string& backend,
                                                            const std::string& server) {
  auto endpoint = ServerEndpoint::parse(server);
  if (!endpoint) return tl::unexpected(endpoint.error());
  const std::lock_guard lock(mutex_);
  std::erase_if(states_, [](const auto& entry) { return entry.second.expired(); });
  auto& entry = states_[{backend, server}];
  auto state = entry.lock();
  if (!state) {
    state = std::make_shared<ServerState>(backend, server, *std::move(endpoint));
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

std::vector<std::string> ServerDirectory::host_names() const {
  std::set<std::string> hosts;
  for (const auto& state : all()) {
    if (!state->endpoint().literal) hosts.insert(state->endpoint().host);
  }
  return {hosts.begin(), hosts.end()};
}

void ServerDirectory::publish(const std::string& host, const std::vector<Address>& addresses) {
  for (const auto& state : all()) {
    if (state->endpoint().literal || state->endpoint().host != host) continue;
    ServerState::Addresses with_port = addresses;
    for (Address& address : with_port) address.set_port(state->endpoint().port);
    state->publish(std::move(with_port));
  }
}

}  // namespace headgate
