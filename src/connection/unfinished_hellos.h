#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "net/source_address.h"

namespace headgate {

class Connection;

/// Bounds the bytes that a worker keeps for clients that have not yet said what they want: the beginnings of
/// PROXY headers, of STARTTLS commands and of ClientHellos, all together. Such bytes cost their sender
/// nothing, and each connection may bring some 150 KiB of them. A ClientHello of uncommon length counts until
/// its handshake is done. When the worker keeps too many, a connection of the source that holds the most
/// bytes is ended as `handshake_shed`, the one that was accepted first: so a source cannot take the room of
/// others, and an honest client needs one or two round trips for its whole hello, so the oldest connection is
/// the least likely to be an honest one.
///
/// Owned by a worker, loop thread only. Outlives the HeldInput objects that are counted here.
class UnfinishedHellos {
 public:
  /// Four times the bytes that `limits.max_handshakes` clients need by default when each of them has sent all
  /// but the last byte of an ordinary ClientHello of 2 KiB.
  static constexpr std::size_t kMaxBytes = 8 * 1024 * 1024;

  explicit UnfinishedHellos(std::size_t max_bytes = kMaxBytes) : max_bytes_(max_bytes) {}
  UnfinishedHellos(const UnfinishedHellos&) = delete;
  UnfinishedHellos& operator=(const UnfinishedHellos&) = delete;

  /// The bytes that are held now.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// The number of connections that hold them.
  [[nodiscard]] std::size_t connections() const { return connections_; }

 private:
  friend class HeldInput;
  struct Holder {
    UnfinishedHellos* all;
    Connection* connection;
    SourceNetwork source;  // as it was at the first byte: a PROXY header changes the client's address
    std::size_t bytes;
  };
  struct Source {
    std::map<std::uint64_t, Holder> holders;  // by connection id, so the oldest first
    std::size_t bytes = 0;
  };

  void count(Holder& holder, std::size_t bytes);
  [[nodiscard]] bool shed_down_to_bound(const Connection& caller);

  std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  std::size_t connections_ = 0;
  std::unordered_map<SourceNetwork, Source> sources_;
  std::set<std::pair<std::size_t, SourceNetwork>> by_bytes_;  // each source once
};

/// One connection's share of UnfinishedHellos: destroying this object or assigning to it gives the share
/// back. It counts nothing until hold() is called.
class HeldInput {
 public:
  HeldInput() = default;
  HeldInput(HeldInput&& other) noexcept : place_(std::exchange(other.place_, nullptr)) {}
  HeldInput& operator=(HeldInput&& other) noexcept;
  ~HeldInput() { give_back(); }
  HeldInput(const HeldInput&) = delete;
  HeldInput& operator=(const HeldInput&) = delete;

  /// Says that `connection` holds `bytes` now, in place of its share before. May end older connections.
  /// False: `connection` itself is the oldest, and its caller has to end it as `handshake_shed`.
  [[nodiscard]] bool hold(UnfinishedHellos& all, Connection& connection, std::size_t bytes);

 private:
  void give_back();

  UnfinishedHellos::Holder* place_ = nullptr;  // an element of Source::holders; null: counts nothing
};

/// The detail of a connection that is ended for this reason.
inline constexpr std::string_view kUnfinishedHelloShed =
    "this worker's unfinished ClientHellos hold too much memory, and this is the oldest of the source with "
    "most";

}  // namespace headgate
