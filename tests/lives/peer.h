#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/close_reason.h"
#include "lives/chance.h"
#include "lives/records.h"
#include "lives/streams.h"
#include "lives/tcp.h"

namespace headgate::lives {

/// How a peer has ended its own direction.
enum class Told : std::uint8_t {
  kNothing,
  kInOrder,        ///< FIN, behind close_notify where there is TLS.
  kWithoutNotice,  ///< TLS: FIN between two records.
  kBroken,         ///< Reset, FIN inside a record, a fatal alert, a bad record.
  kSomething,      ///< It sent records of which the model does not know whether they end anything.
};

/// How a peer was ended, as it sees it.
enum class Seen : std::uint8_t { kNothing, kInOrder, kWithoutNotice, kAlert, kReset };
[[nodiscard]] std::string_view name(Told told);
[[nodiscard]] std::string_view name(Seen seen);

/// One side's peer: it sends what its script says, and checks every byte that it gets.
class Peer {
 public:
  Peer(Side side, Kind kind, Tcp& tcp, std::unique_ptr<Records> records)
      : side_(side), kind_(kind), tcp_(tcp), records_(std::move(records)), raw_before_(tcp.arrived_bytes()) {}

  // What the script says. A peer that has ended its direction sends no more.
  void sends(std::uint32_t bytes, Chance& sizes);
  void ends();
  void notifies();  ///< close_notify without FIN; without TLS the same as ends().
  void leaves();    ///< FIN without close_notify.
  void tears();     ///< FIN in the middle of a record.
  void alerts(std::uint8_t alert);
  void garbles();  ///< A record whose protection does not hold.
  void sends_junk(std::uint32_t bytes, Chance& content);
  void sends_odd(std::uint8_t type, Chance& content);
  void resets();
  void closes();  ///< As a program that does not wait for what still comes.
  void updates_keys(KeyUpdateRequest request);
  void set_reading(bool reading) { reading_ = reading; }

  /// Reads what there is.
  void read();

  [[nodiscard]] Side side() const { return side_; }
  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] bool is_reading() const { return reading_; }
  [[nodiscard]] bool can_send() const { return told_ == Told::kNothing && !gone_; }
  /// It has broken off, or its descriptor is closed: nobody promises it anything.
  [[nodiscard]] bool is_gone() const { return gone_ || told_ >= Told::kBroken; }
  /// How it has ended, as far as our kernel knows.
  [[nodiscard]] Told told() const;
  [[nodiscard]] std::uint64_t sent_bytes() const { return sent_bytes_; }
  /// On the wire, records and all.
  [[nodiscard]] std::uint64_t raw_sent_bytes() const { return raw_sent_bytes_; }
  /// Of the bytes sent, those in records that our kernel has received whole.
  [[nodiscard]] std::uint64_t arrived_bytes() const;

  [[nodiscard]] std::uint64_t received_bytes() const { return received_bytes_; }
  [[nodiscard]] Seen seen() const;
  [[nodiscard]] int alert() const { return alert_; }
  /// A byte that was not sent, a record that is none, or an end in the middle of a record; empty: none of
  /// these.
  [[nodiscard]] const std::string& complaint() const { return complaint_; }
  /// What comes behind close_notify is ignored: RFC 8446, section 6.1.
  [[nodiscard]] bool has_torn_record() const { return !raw_.empty() && kind_ != Kind::kPlain && !notified_; }

 private:
  void send_record(ContentType type, std::string_view content);
  void take(std::string_view data);

  Side side_;
  Kind kind_;
  Tcp& tcp_;
  std::unique_ptr<Records> records_;
  std::uint64_t raw_before_;  // of the handshake
  bool reading_ = true, gone_ = false;
  Told told_ = Told::kNothing;
  std::uint64_t sent_bytes_ = 0, raw_sent_bytes_ = 0, notice_at_ = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>>
      records_sent_;  // where each ends: on the wire, in the data
  std::uint64_t received_bytes_ = 0;
  std::string raw_;  // received, not opened
  bool notified_ = false;
  int alert_ = -1;
  std::string complaint_;
};

/// The bytes that `side` sends, from `offset` on: at most `size`, at least one.
[[nodiscard]] std::string_view pattern(Side side, std::uint64_t offset, std::size_t size);

}  // namespace headgate::lives
