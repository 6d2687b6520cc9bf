#include "lives/model.h"

#include <array>
#include <initializer_list>
#include <string_view>

namespace headgate::lives {
namespace {

constexpr unsigned bit(Seen seen) {
  return 1U << static_cast<unsigned>(seen);
}
constexpr int kInternalError = 80;

struct Promise {
  std::uint64_t least = 0;  // bytes
  unsigned ends = 0;        // a set of Seen
  int alert = kInternalError;
};

/// How a side is ended that must not take the end for one in order.
unsigned rough(const Facts& facts) {
  return bit(facts.tls && facts.side == Side::kClient ? Seen::kWithoutNotice : Seen::kReset);
}
unsigned cut(const Facts& facts) {
  if (!facts.tls || facts.side != Side::kClient) return bit(Seen::kReset);
  return bit(Seen::kAlert) | (facts.openssl && facts.has_ended ? bit(Seen::kWithoutNotice) : 0);
}

/// Whether the other peer has ended so that this one is told of an end in order.
bool ended_in_order(const Facts& facts) {
  return facts.other == Told::kInOrder ||
         (facts.other == Told::kWithoutNotice && facts.side == Side::kBackend);
}

/// The table. A direction that has ended in order stays so, whatever else happens; and what a peer did may
/// have come before the end that Headgate decides on, or just behind it.
Promise promise(const Facts& facts) {
  const unsigned by_other = ended_in_order(facts) ? bit(Seen::kInOrder) : rough(facts);
  const unsigned before = facts.other == Told::kNothing ? 0 : by_other;
  switch (facts.cause) {
    case Cause::kPeers:
      return {facts.other_sent, by_other};
    case Cause::kCut:
      return {facts.taken, cut(facts) | before};
    case Cause::kShutOut:
      return {facts.taken, cut(facts) | before, facts.openssl ? kInternalError : facts.alert};
    case Cause::kAtRest:  // the descriptor is closed at once: who sends after that gets a reset
      return {facts.taken, bit(Seen::kInOrder) | (facts.was_stuck ? cut(facts) : 0) |
                               (facts.spoke_late ? bit(Seen::kReset) : 0)};
  }
  return {};
}

/// An end in order says that all bytes have come: it may never be a lie.
bool may_be_in_order(const Facts& facts, std::uint64_t received) {
  const bool may_have_ended = ended_in_order(facts) || facts.other == Told::kSomething;
  if (may_have_ended && received == facts.other_sent) return true;
  return facts.cause == Cause::kAtRest && received == facts.taken;
}

}  // namespace

bool is_held(const Facts& facts) {
  return !facts.gone && facts.in_time && facts.other != Told::kSomething;
}

std::string row_of(const Facts& facts) {
  static constexpr std::array<std::string_view, 4> kCauses{"the other ended: ", "at rest, the other ",
                                                           "cut, the other ", "shut out, the other "};
  return std::string(facts.tls ? "TLS " : "plain ") + std::string(headgate::name(facts.side)) + ", " +
         std::string(kCauses[static_cast<std::size_t>(facts.cause)]) + std::string(name(facts.other));
}

std::string difference(const Facts& facts, const Sight& sight) {
  const auto bytes = [](std::uint64_t count) { return std::to_string(count) + " bytes"; };
  if (sight.received > facts.other_sent)
    return "it got " + bytes(sight.received - facts.other_sent) + " too many";
  if (sight.seen == Seen::kInOrder && !may_be_in_order(facts, sight.received)) {
    return "an end in order after " + bytes(sight.received) + " of " + bytes(facts.other_sent);
  }
  if (!is_held(facts)) return "";
  const Promise promised = promise(facts);
  if (sight.received < promised.least) {
    return bytes(sight.received) + " of the " + bytes(promised.least) + " that arrived for it";
  }
  if ((promised.ends & bit(sight.seen)) == 0) {
    std::string expected;
    for (const Seen one : {Seen::kInOrder, Seen::kWithoutNotice, Seen::kAlert, Seen::kReset}) {
      if ((promised.ends & bit(one)) != 0)
        expected += (expected.empty() ? "" : " or ") + std::string(name(one));
    }
    return "its end: " + std::string(name(sight.seen)) + ", expected " + expected;
  }
  if (sight.seen == Seen::kAlert && sight.alert != promised.alert) {
    return "the alert " + std::to_string(sight.alert) + ", expected " + std::to_string(promised.alert);
  }
  return "";
}

}  // namespace headgate::lives
