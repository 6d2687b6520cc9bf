#pragma once

#include <cstdint>
#include <string>

#include "base/close_reason.h"
#include "lives/peer.h"

namespace headgate::lives {

/// Why a connection ended that no peer had ended.
enum class Cause : std::uint8_t {
  kPeers,    ///< Both ended, or one broke off.
  kAtRest,   ///< Idle, half closed for long, or drained while at rest.
  kCut,      ///< Lifetime, the drain's deadline, SIGINT.
  kShutOut,  ///< The client's certificate lets it in no more.
};

/// What is true of one peer when a life is over. The table "How a connection ends, as its two peers see it"
/// says what follows from it.
struct Facts {
  Side side = Side::kNone;  ///< Of this peer.
  bool tls = false;
  bool openssl =
      false;  ///< OpenSSL protects its records, and sends no alert of our choice but internal_error.
  bool has_ended = false;  ///< It has sent close_notify itself: OpenSSL may send no alert any more.
  bool gone = false;       ///< It has broken off itself: nothing is promised to it.
  bool in_time = true;     ///< It has read all that came, within timeouts.shutdown of the connection's end.
  Told other = Told::kNothing;   ///< How the other peer has ended.
  std::uint64_t other_sent = 0;  ///< Bytes of the other peer that have arrived at Headgate's kernel.
  std::uint64_t taken = 0;       ///< Those of them that Headgate has read.
  bool was_stuck = false;   ///< A peer did not read when the cause arose: the connection was not at rest.
  bool spoke_late = false;  ///< It sent something after that.
  Cause cause = Cause::kPeers;
  std::uint8_t alert = 0;  ///< With kShutOut.
};

/// What the peer has seen.
struct Sight {
  std::uint64_t received = 0;
  Seen seen = Seen::kNothing;
  int alert = -1;
};

/// Whether anything is promised to this peer beyond that no byte is wrong and no end a lie.
[[nodiscard]] bool is_held(const Facts& facts);
/// The row of the table, and the peer's column.
[[nodiscard]] std::string row_of(const Facts& facts);

/// The difference between what the table promises and what the peer has seen; empty: none.
[[nodiscard]] std::string difference(const Facts& facts, const Sight& sight);

}  // namespace headgate::lives
