#include <algorithm>

#include "backend/group.h"

namespace headgate {

// Of the next `wanted` connections this finds out where they will go, and makes the spare that is missing
// first. Which server a client gets by its address or by chance is not known: then spares are spread by
// weight and load.
std::optional<SpareChoice> GroupPicker::choose_for_spare(std::span<const SpareCount> held,
                                                         std::uint32_t wanted, TimePoint now) {
  candidates_.clear();
  for (std::size_t i = 0; i < counters_.size(); ++i) {
    const bool may_grow = held[i].may_grow && may_have_spares(i, now) &&
                          !counters_[i]->current_addresses().empty() && !is_full(i);
    if (!may_grow) continue;
    candidates_.push_back(i);
    weigh(i, now);
  }
  if (candidates_.empty()) return std::nullopt;
  const std::span<std::int64_t> credits = read_credits();
  std::vector<std::uint32_t> planned(counters_.size());
  const bool by_turn = group_->config.balance == config::Balance::kRoundRobin;
  for (std::uint32_t n = 0; n < wanted; ++n) {
    const std::size_t index = by_turn ? next_by_turn(credits) : least_used(planned);
    if (++planned[index] <= held[index].held) continue;
    const auto& addresses = *counters_[index]->addresses;
    if (addresses.size() == 1) return SpareChoice{index, addresses.front().address};
    find_eligible_addresses(index, {}, now);
    return SpareChoice{index, next_address(index)};
  }
  return std::nullopt;
}

/// The server on which one more connection weighs least, after those that are planned. A client's address
/// asks for no load.
std::size_t GroupPicker::least_used(std::span<const std::uint32_t> planned) const {
  const bool by_load = group_->config.balance != config::Balance::kSourceHash;
  const auto load = [&](std::size_t i) {
    return std::int64_t{planned[i]} + (by_load ? std::int64_t{counters_[i]->active} : 0) + 1;
  };
  std::size_t best = candidates_.front();
  for (const std::size_t i : candidates_) {
    if (load(i) * weight(best) < load(best) * weight(i)) best = i;
  }
  return best;
}

bool GroupPicker::may_have_spares(std::size_t index, TimePoint now) const {
  const Server& server = group_->servers[index];
  return server.config.weight > 0 && server.state->is_up() && counters_[index]->ejected_until <= now;
}

bool GroupPicker::has_address(std::size_t index, const Address& address) {
  return std::ranges::any_of(counters_[index]->current_addresses(),
                             [&](const ResolvedAddress& one) { return one.address == address; });
}

bool GroupPicker::take_place_for_spare(std::size_t index) {
  const Server& server = group_->servers[index];
  if (server.config.max_connections == 0) return true;
  if (!server.state->take_place(server.config.max_connections)) return false;
  server.state->add_place_of_spare();
  ++counters_[index]->spares.places;
  return true;
}

void GroupPicker::keep_places_of_spares(std::size_t index, std::size_t held) {
  SparesOfServer& spares = counters_[index]->spares;
  while (spares.places > held) {
    --spares.places;
    // In this order: in between it counts twice in places_to_come(), and not never.
    group_->servers[index].state->give_place_back();
    group_->servers[index].state->remove_place_of_spare();
  }
}

std::uint32_t GroupPicker::places_of_spares() const {
  std::uint32_t places = 0;
  for (const Server& server : group_->servers) places += server.state->places_of_spares();
  return places;
}

}  // namespace headgate
