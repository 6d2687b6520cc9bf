#include "tls/record/record_layer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"

namespace headgate {
namespace {

// The outside of every protected record. RFC 8446, section 5.2.
constexpr auto kOuterType = static_cast<std::byte>(ContentType::kApplicationData);
constexpr std::byte kLegacyVersion{3};

// RFC 8446, section 4.
constexpr std::uint8_t kNewSessionTicket = 4;
constexpr std::uint8_t kKeyUpdate = 24;
// Lifetime, age_add, nonce, ticket and extensions, each as long as its length field allows. Section 4.6.1.
constexpr std::uint32_t kMaxTicketBytes = 4 + 4 + (1 + 255) + (2 + 65535) + (2 + 65534);

std::size_t body_bytes(std::span<const std::byte> header) {
  return std::to_integer<std::size_t>(header[3]) << 8 | std::to_integer<std::size_t>(header[4]);
}

void write_header(std::span<std::byte> into, std::size_t body) {
  into[0] = kOuterType;
  into[1] = kLegacyVersion;
  into[2] = kLegacyVersion;
  into[3] = static_cast<std::byte>(body >> 8);
  into[4] = static_cast<std::byte>(body & 0xff);
}

}  // namespace

std::size_t record_size_bytes(std::span<const std::byte> bytes) {
  return bytes.size() < kRecordHeaderBytes ? 0 : kRecordHeaderBytes + body_bytes(bytes);
}

std::size_t RecordProtector::seal(ContentType type, std::span<const std::byte> content,
                                  std::span<std::byte> into) {
  const std::size_t inner = content.size() + 1;
  HG_CHECK(content.size() <= kMaxRecordContentBytes && into.size() >= content.size() + kRecordOverheadBytes);
  HG_CHECK(direction_.sequence_number() < kMaxRecordsPerKey);
  write_header(into, inner + kTagBytes);

  std::byte* body = into.data() + kRecordHeaderBytes;
  HG_CHECK(direction_.context().seal(direction_.nonce(), into.first(kRecordHeaderBytes), content,
                                     static_cast<std::byte>(type), body));
  direction_.advance();
  return kRecordHeaderBytes + inner + kTagBytes;
}

bool RecordProtector::key_is_worn() const {
  return direction_.sequence_number() >= kRecordsPerKey;
}

std::size_t RecordProtector::seal_alert(Alert alert, std::span<std::byte> into) {
  constexpr std::byte kWarning{1};
  constexpr std::byte kFatal{2};
  const std::array content{alert == Alert::kCloseNotify ? kWarning : kFatal, static_cast<std::byte>(alert)};
  return seal(ContentType::kAlert, content, into);
}

std::size_t RecordProtector::seal_key_update(KeyUpdateRequest request, std::span<std::byte> into) {
  const std::array message{std::byte{kKeyUpdate}, std::byte{0}, std::byte{0}, std::byte{1},
                           static_cast<std::byte>(request)};
  const std::size_t size = seal(ContentType::kHandshake, message, into);
  direction_.update_keys();
  return size;
}

RecordOpener::Opened RecordOpener::open(std::span<const std::byte> ciphertext, std::span<std::byte> into) {
  Opened opened;
  const auto stop = [&opened](const Verdict& verdict) {
    opened.status = verdict.status;
    opened.alert = verdict.alert;
    opened.what = verdict.what;
    return opened;
  };
  for (;;) {
    const auto rest = ciphertext.subspan(opened.consumed_bytes);
    if (rest.size() < kRecordHeaderBytes) return opened;
    if (const Verdict header = check_header(rest); header.status != Status::kNeedsMore) return stop(header);
    const std::size_t record_bytes = record_size_bytes(rest);
    if (rest.size() < record_bytes) return opened;

    const auto room = into.subspan(opened.produced_bytes);
    const std::size_t inner_bytes = record_bytes - kRecordHeaderBytes - kTagBytes;
    if (room.size() + 1 < inner_bytes) return stop({.status = Status::kNoRoom});  // the type may lie outside

    Inner inner;
    opened.consumed_bytes += record_bytes;
    if (!unprotect(rest.first(record_bytes), room, inner)) {
      return stop(refuse(Alert::kBadRecordMac, "a record fails its integrity check"));
    }
    const Verdict verdict = accept(inner);
    if (verdict.key_update) ++opened.key_updates;
    if (verdict.status != Status::kNeedsMore) return stop(verdict);
    if (inner.type == static_cast<std::uint8_t>(ContentType::kApplicationData)) {
      opened.produced_bytes += inner.content.size();
    }
  }
}

bool RecordOpener::take_key_update_request() {
  const bool requested = key_update_requested_;
  key_update_requested_ = false;
  return requested;
}

// The version is ignored: RFC 8446, section 5.2. A change_cipher_spec is legal before the peer's Finished
// only, and without protection nothing is.
RecordOpener::Verdict RecordOpener::check_header(std::span<const std::byte> header) {
  if (header[0] != kOuterType) return refuse(Alert::kUnexpectedMessage, "a record is not protected");
  const std::size_t body = body_bytes(header);
  if (body > kMaxRecordBodyBytes) return refuse(Alert::kRecordOverflow, "a record is longer than 16 KiB");
  if (body < 1 + kTagBytes) return refuse(Alert::kBadRecordMac, "a record is too short for its protection");
  return {};
}

// `into` may be one byte short of the inner plaintext: content fills it, and the type goes to `last`.
bool RecordOpener::unprotect(std::span<const std::byte> record, std::span<std::byte> into, Inner& inner) {
  const std::span<const std::byte> body = record.subspan(kRecordHeaderBytes);
  const std::size_t inner_bytes = body.size() - kTagBytes;
  const std::size_t placed = std::min(inner_bytes, into.size());
  std::byte last{};
  if (!direction_.context().open(direction_.nonce(), record.first(kRecordHeaderBytes), body,
                                 into.first(placed), last))
    return false;
  direction_.advance();

  if (placed < inner_bytes && last != std::byte{0}) {
    inner = {std::to_integer<std::uint8_t>(last), into.first(placed)};
    return true;
  }
  std::size_t end = placed;  // behind the last byte that is not padding
  while (end > 0 && into[end - 1] == std::byte{0}) --end;
  if (end > 0) inner = {std::to_integer<std::uint8_t>(into[end - 1]), into.first(end - 1)};
  return true;
}

RecordOpener::Verdict RecordOpener::accept(const Inner& inner) {
  switch (static_cast<ContentType>(inner.type)) {
    case ContentType::kApplicationData:
      if (!between_messages()) return refuse(Alert::kUnexpectedMessage, "data inside a handshake message");
      if (inner.content.empty()) return accept_dataless();
      dataless_allowed_ = kMaxDatalessRecords;
      return {};
    case ContentType::kHandshake:
      return accept_handshake(inner.content);
    case ContentType::kAlert:
      return accept_alert(inner.content);
    case ContentType::kChangeCipherSpec:
      break;
  }
  return refuse(Alert::kUnexpectedMessage, "a record of a type that is not legal here");
}

RecordOpener::Verdict RecordOpener::accept_dataless() {
  if (dataless_allowed_ == 0) return refuse(Alert::kUnexpectedMessage, "too many records without data");
  --dataless_allowed_;
  return {};
}

// Messages may share a record and may be spread over several, but no fragment is empty. RFC 8446,
// section 5.1.
RecordOpener::Verdict RecordOpener::accept_handshake(std::span<const std::byte> content) {
  if (content.empty()) return refuse(Alert::kUnexpectedMessage, "an empty handshake record");
  while (!content.empty()) {
    if (skip_bytes_ > 0) {
      const auto skipped = static_cast<std::uint32_t>(std::min<std::size_t>(skip_bytes_, content.size()));
      skip_bytes_ = (skip_bytes_ - skipped) & kSkipMask;
      content = content.subspan(skipped);
      continue;
    }
    message_[message_bytes_++] = content.front();
    content = content.subspan(1);
    if (message_bytes_ < kMessageHeaderBytes) continue;
    const Verdict verdict = accept_message(content.empty());
    if (verdict.status != Status::kNeedsMore || verdict.key_update) return verdict;
  }
  return accept_dataless();
}

// Called with the header alone, and again with each further byte until the message is done.
RecordOpener::Verdict RecordOpener::accept_message(bool at_record_end) {
  const auto type = std::to_integer<std::uint8_t>(message_[0]);
  if (type == kKeyUpdate) return accept_key_update(at_record_end);
  if (type != kNewSessionTicket || role_ != TlsRole::kClient) {
    return refuse(Alert::kUnexpectedMessage, "a handshake message that is not legal after the handshake");
  }
  const auto length = std::to_integer<std::uint32_t>(message_[1]) << 16 |
                      std::to_integer<std::uint32_t>(message_[2]) << 8 |
                      std::to_integer<std::uint32_t>(message_[3]);
  if (length > kMaxTicketBytes) return refuse(Alert::kDecodeError, "a NewSessionTicket that is too long");
  skip_bytes_ = length & kSkipMask;
  message_bytes_ = 0;
  return {};
}

// RFC 8446, sections 4.6.3 and 5.1: the keys change behind it, so its record ends with it, and there is one
// at most in a record.
RecordOpener::Verdict RecordOpener::accept_key_update(bool at_record_end) {
  const bool one_byte =
      message_[1] == std::byte{0} && message_[2] == std::byte{0} && message_[3] == std::byte{1};
  if (!one_byte) return refuse(Alert::kDecodeError, "a KeyUpdate of a wrong length");
  if (message_bytes_ < message_.size()) return {};
  const auto request = static_cast<KeyUpdateRequest>(message_[4]);
  if (request > KeyUpdateRequest::kRequested) {
    return refuse(Alert::kIllegalParameter, "a KeyUpdate with an unknown request");
  }
  if (!at_record_end) return refuse(Alert::kUnexpectedMessage, "a KeyUpdate in the middle of a record");
  message_bytes_ = 0;
  if (!budget_.spend()) {
    return {Status::kFlood, Alert::kUnexpectedMessage, "too many KeyUpdates for so little data", true};
  }
  if (request == KeyUpdateRequest::kRequested) key_update_requested_ = true;
  direction_.update_keys();
  return {.key_update = true};
}

// An alert has a record of its own. Except for these two every alert is fatal, whatever level it claims: RFC
// 8446, sections 5.1 and 6.
RecordOpener::Verdict RecordOpener::accept_alert(std::span<const std::byte> content) {
  if (content.empty()) return refuse(Alert::kUnexpectedMessage, "an empty alert record");
  if (content.size() != 2) return refuse(Alert::kDecodeError, "an alert of a wrong length");
  const auto alert = static_cast<Alert>(content[1]);
  if (alert == Alert::kCloseNotify) return {.status = Status::kEnded};
  if (alert == Alert::kUserCanceled) return accept_dataless();
  return {.status = Status::kPeerAlert, .alert = alert};
}

}  // namespace headgate
