#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/close_reason.h"
#include "lives/chance.h"
#include "lives/streams.h"
#include "lives/tcp.h"

namespace headgate::lives {

/// One thing that happens in a life.
enum class Act : std::uint8_t {
  // Of a peer.
  kSend,
  kEnd,
  kNotify,
  kLeave,
  kTear,
  kAlert,
  kGarble,
  kJunk,  ///< Bytes that are no records.
  kOdd,   ///< A record of any type and content, well protected.
  kReset,
  kClose,
  kUpdateKeys,
  kStopReading,
  kGoOnReading,
  // Of the world.
  kPause,
  kDrain,   ///< At rest: an end in order; else as at the drain's deadline.
  kCut,     ///< SIGINT.
  kRevoke,  ///< The client's certificate lets it in no more.
  kMove,    ///< To another process, if the connection can.
};

struct Deed {
  Act act = Act::kSend;
  Side side = Side::kNone;
  std::uint32_t amount = 0;  ///< Bytes, milliseconds, an alert, a number of KeyUpdates.
  bool at_once = false;      ///< The next deed comes before Headgate can do anything.
};

/// What one side is like.
struct Character {
  Kind kind = Kind::kPlain;
  Tcp::Options network;
  bool never_returns = false;  ///< Once it has stopped to read, it stays so after the script.
};

/// A whole life.
struct Script {
  Character client, backend;
  bool has_lifetime = false;  ///< timeouts.lifetime is short.
  std::vector<Deed> deeds;
};

/// Makes a life up. The same choices make the same life.
[[nodiscard]] Script make_up(Chance& chance);
/// One line for each deed.
[[nodiscard]] std::string text_of(const Script& script);

}  // namespace headgate::lives
