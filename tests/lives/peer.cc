#include "lives/peer.h"

#include <algorithm>
#include <array>

#include "tls/record/record_layer.h"

namespace headgate::lives {
namespace {

// A prime, so that a piece that is left out or doubled never looks right.
constexpr std::size_t kPatternBytes = 65521;

std::string make_pattern(std::uint64_t seed) {
  Chance chance(seed);
  std::string bytes(kPatternBytes, '\0');
  for (char& byte : bytes) byte = static_cast<char>(chance.below(256));
  return bytes;
}

}  // namespace

std::string_view name(Told told) {
  static constexpr std::array<std::string_view, 5> kNames{"open", "in order", "without notice", "broken",
                                                          "something"};
  return kNames[static_cast<std::size_t>(told)];
}

std::string_view name(Seen seen) {
  static constexpr std::array<std::string_view, 5> kNames{"nothing", "in order", "FIN without close_notify",
                                                          "alert and FIN", "reset"};
  return kNames[static_cast<std::size_t>(seen)];
}

std::string_view pattern(Side side, std::uint64_t offset, std::size_t size) {
  static const std::string from_client = make_pattern(1), from_backend = make_pattern(2);
  const std::string& all = side == Side::kClient ? from_client : from_backend;
  return std::string_view(all).substr(offset % kPatternBytes, size);
}

void Peer::sends(std::uint32_t bytes, Chance& sizes) {
  while (bytes > 0 && can_send()) {
    const std::size_t most = std::min<std::size_t>(bytes, kMaxRecordContentBytes);
    const std::string_view data = pattern(side_, sent_bytes_, sizes.size(static_cast<std::uint32_t>(most)));
    sent_bytes_ += data.size();
    bytes -= static_cast<std::uint32_t>(data.size());
    if (records_ == nullptr) {
      raw_sent_bytes_ += data.size();
      tcp_.peer_sends(data);
    } else {
      send_record(ContentType::kApplicationData, data);
    }
  }
}

void Peer::send_record(ContentType type, std::string_view content) {
  const std::string record = records_->seal(type, content);
  raw_sent_bytes_ += record.size();
  records_sent_.emplace_back(raw_sent_bytes_, sent_bytes_);
  tcp_.peer_sends(record);
}

void Peer::notifies() {
  if (!can_send()) return;
  if (records_ == nullptr) return ends();
  told_ = Told::kInOrder;
  send_record(ContentType::kAlert, {"\1\0", 2});
  notice_at_ = raw_sent_bytes_;
}

void Peer::ends() {
  if (!can_send()) return;
  if (records_ != nullptr) notifies();
  told_ = Told::kInOrder;
  tcp_.peer_ends();
}

void Peer::leaves() {
  if (!can_send()) return;
  told_ = records_ == nullptr ? Told::kInOrder : Told::kWithoutNotice;
  tcp_.peer_ends();
}

void Peer::tears() {
  if (!can_send() || records_ == nullptr) return;
  told_ = Told::kBroken;
  const std::string record = records_->seal(ContentType::kApplicationData, pattern(side_, sent_bytes_, 100));
  tcp_.peer_sends(std::string_view(record).substr(0, record.size() / 2));
  tcp_.peer_ends();
}

void Peer::alerts(std::uint8_t alert) {
  if (!can_send() || records_ == nullptr) return;
  told_ = Told::kBroken;
  send_record(ContentType::kAlert, std::string{'\2', static_cast<char>(alert)});
  tcp_.peer_ends();
}

void Peer::garbles() {
  if (!can_send() || records_ == nullptr) return;
  told_ = Told::kBroken;
  std::string record = records_->seal(ContentType::kApplicationData, pattern(side_, sent_bytes_, 100));
  record.back() = static_cast<char>(record.back() ^ 1);
  tcp_.peer_sends(record);
}

void Peer::sends_junk(std::uint32_t bytes, Chance& content) {
  if (!can_send() || records_ == nullptr) return;
  told_ = Told::kBroken;
  std::string junk(bytes, '\0');
  for (char& byte : junk) byte = static_cast<char>(content.below(256));
  tcp_.peer_sends(junk);
  if (content.below(2) == 0) tcp_.peer_ends();
}

// Of application data only an empty record: the other peer knows which bytes it expects.
void Peer::sends_odd(std::uint8_t type, Chance& content) {
  if (!can_send() || records_ == nullptr) return;
  told_ = Told::kSomething;
  const bool data = type == static_cast<std::uint8_t>(ContentType::kApplicationData);
  std::string inside(data ? 0 : content.below(8), '\0');
  for (char& byte : inside) byte = static_cast<char>(content.below(content.below(2) == 0 ? 256 : 3));
  // In TLS 1.3 a type of 0 is padding, and the last byte of the content that is not 0 is the type.
  if (type == 0) std::ranges::replace(inside, static_cast<char>(ContentType::kApplicationData), '\xff');
  send_record(static_cast<ContentType>(type), inside);
  if (content.below(2) == 0) tcp_.peer_ends();
}

void Peer::resets() {
  if (can_send()) told_ = Told::kBroken;
  gone_ = true;
  tcp_.peer_resets();
}

void Peer::closes() {
  if (can_send()) ends();
  gone_ = true;
  tcp_.peer_closes();
}

void Peer::updates_keys(KeyUpdateRequest request) {
  if (!can_send() || records_ == nullptr) return;
  const std::string record = records_->seal_key_update(request);
  raw_sent_bytes_ += record.size();
  tcp_.peer_sends(record);
}

// A reset may have overtaken the end.
Told Peer::told() const {
  if (told_ == Told::kNothing || told_ >= Told::kBroken) return told_;
  const bool by_record = told_ == Told::kInOrder && records_ != nullptr;
  const bool arrived = by_record ? tcp_.arrived_bytes() - raw_before_ >= notice_at_ : tcp_.end_arrived();
  if (arrived) return told_;
  return gone_ ? Told::kBroken : Told::kNothing;
}

std::uint64_t Peer::arrived_bytes() const {
  const std::uint64_t raw = tcp_.arrived_bytes() - raw_before_;
  if (records_ == nullptr) return std::min(raw, sent_bytes_);
  const auto behind =
      std::ranges::upper_bound(records_sent_, raw, {}, [](const auto& record) { return record.first; });
  return behind == records_sent_.begin() ? 0 : std::prev(behind)->second;
}

void Peer::read() {
  if (!reading_ || gone_) return;
  const std::string taken = tcp_.peer_takes(1 << 20);
  if (taken.empty()) return;
  if (records_ == nullptr) return take(taken);
  raw_ += taken;
  const Records::Opened opened = records_->open(raw_);
  take(opened.data);
  if (!opened.is_legal) complaint_ = "a record that is not legal";
  notified_ = notified_ || opened.close_notify;
  if (opened.alert >= 0) alert_ = opened.alert;
}

void Peer::take(std::string_view data) {
  const Side other = side_ == Side::kClient ? Side::kBackend : Side::kClient;
  while (!data.empty()) {
    const std::string_view expected = pattern(other, received_bytes_, data.size());
    if (data.substr(0, expected.size()) != expected) complaint_ = "bytes that were not sent";
    received_bytes_ += expected.size();
    data.remove_prefix(expected.size());
  }
}

Seen Peer::seen() const {
  if (tcp_.peer_has_reset()) return Seen::kReset;
  if (!tcp_.peer_has_end()) return Seen::kNothing;
  if (kind_ == Kind::kPlain || (notified_ && alert_ < 0)) return Seen::kInOrder;
  return alert_ >= 0 ? Seen::kAlert : Seen::kWithoutNotice;
}

}  // namespace headgate::lives
