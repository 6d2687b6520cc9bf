#include "lives/script.h"

#include <algorithm>
#include <array>

#include "tls/handshake/alert.h"

namespace headgate::lives {
namespace {

constexpr std::uint32_t kMaxDeeds = 14;
constexpr std::uint32_t kMaxSendBytes = 60'000;
// A byte at a time through a window of one byte: so many turns of the loop at most for one deed.
constexpr std::size_t kMaxTicks = 150;

struct Weight {
  Act act;
  std::uint32_t weight;
};
constexpr std::array kPlainActs{Weight{Act::kSend, 24}, Weight{Act::kEnd, 6}, Weight{Act::kReset, 4},
                                Weight{Act::kClose, 3}};
constexpr std::array kTlsActs{Weight{Act::kSend, 24},      Weight{Act::kEnd, 5},    Weight{Act::kReset, 3},
                              Weight{Act::kClose, 2},      Weight{Act::kNotify, 2}, Weight{Act::kLeave, 3},
                              Weight{Act::kTear, 2},       Weight{Act::kAlert, 2},  Weight{Act::kGarble, 2},
                              Weight{Act::kUpdateKeys, 3}, Weight{Act::kJunk, 1},   Weight{Act::kOdd, 1}};
constexpr std::array kLateActs{Weight{Act::kPause, 6}, Weight{Act::kReset, 2}, Weight{Act::kClose, 2},
                               Weight{Act::kStopReading, 3}, Weight{Act::kGoOnReading, 3}};
constexpr std::array kWorldActs{Weight{Act::kPause, 16},      Weight{Act::kStopReading, 6},
                                Weight{Act::kGoOnReading, 7}, Weight{Act::kMove, 3},
                                Weight{Act::kDrain, 1},       Weight{Act::kCut, 1},
                                Weight{Act::kRevoke, 1}};

template <std::size_t N>
Act draw(const std::array<Weight, N>& weights, Chance& chance) {
  std::uint32_t total = 0;
  for (const Weight& one : weights) total += one.weight;
  std::uint32_t drawn = chance.below(total);
  for (const Weight& one : weights) {
    if (drawn < one.weight) return one.act;
    drawn -= one.weight;
  }
  return weights.front().act;
}

std::size_t draw_size(Chance& chance) {
  return chance.one_of<std::size_t>(
      {1U << 20U, 1U << 20U, chance.size(20), chance.size(5'000), chance.size(200'000)});
}

Character draw_character(Chance& chance) {
  return {
      .kind = static_cast<Kind>(chance.below(kKindCount + 4) % kKindCount % (chance.below(2) == 0 ? 2 : 4)),
      .network = {.peer_window = draw_size(chance),
                  .our_window = draw_size(chance),
                  .segment = draw_size(chance),
                  .send_buffer = draw_size(chance)},
      .never_returns = chance.once_in(4)};
}

std::size_t narrowest(const Script& script) {
  std::size_t least = 1U << 20U;
  for (const Tcp::Options& one : {script.client.network, script.backend.network}) {
    least = std::min({least, one.peer_window, one.our_window, one.segment, one.send_buffer});
  }
  return least;
}

std::uint32_t draw_amount(Act act, const Script& script, Chance& chance) {
  switch (act) {
    case Act::kSend:
      return chance.size(
          static_cast<std::uint32_t>(std::min<std::size_t>(kMaxSendBytes, kMaxTicks * narrowest(script))));
    case Act::kPause:
      return chance.one_of<std::uint32_t>({1, 40, 200, 300, 700, 1500, 2500, 5000});
    case Act::kUpdateKeys:
      return 1 + chance.below(3);
    case Act::kJunk:
      return chance.size(200);
    case Act::kOdd:
      return chance.one_of<std::uint32_t>({0, 20, 21, 22, 22, 23, 24, 255});
    case Act::kAlert:
      return chance.one_of<std::uint32_t>({10, 20, 42, 80});
    case Act::kRevoke:
      return chance.below(3);
    default:
      return 0;
  }
}

/// After these a peer sends nothing more, but it may still break off.
bool ends_sending(Act act) {
  return act >= Act::kEnd && act <= Act::kClose;
}

Act draw_act(const Character& one, bool has_ended, Chance& chance) {
  if (chance.below(3) == 0) return draw(kWorldActs, chance);
  if (has_ended) return draw(kLateActs, chance);
  return is_tls(one.kind) ? draw(kTlsActs, chance) : draw(kPlainActs, chance);
}

bool is_of_world(Act act) {
  return act == Act::kPause || act >= Act::kDrain;
}

std::string_view name(Act act) {
  static constexpr std::array<std::string_view, 19> kNames{"sends",
                                                           "ends",
                                                           "sends close_notify",
                                                           "sends FIN without close_notify",
                                                           "tears a record",
                                                           "sends alert",
                                                           "sends a bad record",
                                                           "sends junk",
                                                           "sends a record of type",
                                                           "resets",
                                                           "closes",
                                                           "updates keys",
                                                           "stops reading",
                                                           "goes on reading",
                                                           "pause, ms",
                                                           "drain",
                                                           "cut",
                                                           "revoke",
                                                           "move"};
  return kNames[static_cast<std::size_t>(act)];
}

std::string text_of(const Character& one) {
  return std::string(name(one.kind)) + ", windows " + std::to_string(one.network.peer_window) + " and " +
         std::to_string(one.network.our_window) + ", segments " + std::to_string(one.network.segment) +
         ", send buffer " + std::to_string(one.network.send_buffer) +
         (one.never_returns ? ", never reads again once it has stopped" : "");
}

}  // namespace

Script make_up(Chance& chance) {
  Script script;
  script.client = draw_character(chance);
  script.backend = draw_character(chance);
  script.has_lifetime = chance.once_in(16);
  const std::uint32_t deeds = 1 + chance.below(kMaxDeeds);
  bool has_ended[2] = {false, false};
  for (std::uint32_t i = 0; i < deeds && !chance.is_used_up(); ++i) {
    const bool client = chance.below(2) == 0;
    bool& side_has_ended = has_ended[client ? 0 : 1];
    Deed deed;
    deed.side = client ? Side::kClient : Side::kBackend;
    deed.act = draw_act(client ? script.client : script.backend, side_has_ended, chance);
    side_has_ended = side_has_ended || ends_sending(deed.act);
    if (deed.act == Act::kRevoke && !is_tls(script.client.kind)) deed.act = Act::kPause;
    if (is_of_world(deed.act)) deed.side = Side::kNone;
    deed.amount = draw_amount(deed.act, script, chance);
    deed.at_once = !is_of_world(deed.act) && chance.once_in(3);
    script.deeds.push_back(deed);
  }
  return script;
}

std::string text_of(const Script& script) {
  std::string text =
      "  client:  " + text_of(script.client) + "\n  backend: " + text_of(script.backend) + "\n";
  if (script.has_lifetime) text += "  lifetime 3 s\n";
  for (const Deed& deed : script.deeds) {
    text += "    ";
    if (deed.side != Side::kNone) text += std::string(headgate::name(deed.side)) + " ";
    text += name(deed.act);
    if (deed.amount > 0) text += " " + std::to_string(deed.amount);
    text += deed.at_once ? ", and at once\n" : "\n";
  }
  return text;
}

}  // namespace headgate::lives
