#include "tls/record/record_stream.h"

#include <algorithm>
#include <string>
#include <utility>

#include <openssl/ssl.h>

#include "base/check.h"
#include "net/socket.h"
#include "tls/coarse_time.h"

namespace headgate {
namespace {

StreamFailure alert_of_peer(Alert alert) {
  const int number = static_cast<int>(alert);
  return {FailureKind::kPeerAlert, number,
          std::string("the peer sent the alert ") + SSL_alert_desc_string_long(number)};
}

}  // namespace

RecordStream::RecordStream(RecordStreamState state, Buffers& buffers, AeadContexts& contexts)
    : fd_(std::move(state.socket)),
      holds_back_(state.holds_back && !state.unsent.empty()),
      drained_(state.drained),
      buffers_(buffers),
      protector_(contexts, std::move(state.sending)),
      opener_(contexts, state.role, std::move(state.receiving)),
      partial_(state.received),
      unsent_(std::move(state.unsent)) {}

ReadResult RecordStream::read(std::span<std::byte> into) {
  HG_CHECK(into.size() >= kMaxRecordContentBytes);
  if (opener_.budget().needs_time()) opener_.budget().pass_time(coarse_now());
  std::uint16_t key_updates = 0;
  ReadResult result = read_records(into, key_updates);
  result.key_updates = key_updates;
  return result;
}

ReadResult RecordStream::read_records(std::span<std::byte> into, std::uint16_t& key_updates) {
  if (incoming_ == Incoming::kOpen && partial_.has_record()) {
    const std::size_t size = settle(open_kept(into), key_updates);
    partial_.release_if_empty();
    if (size > 0) return {IoStatus::kDone, size, take_drained() && !has_buffered()};
  }
  if (take_drained() && !has_buffered()) return {IoStatus::kWantRead, 0, true};
  while (incoming_ == Incoming::kOpen) {
    const ReadResult result = receive(into, key_updates);
    if (result.status != IoStatus::kDone || result.size_bytes > 0) return result;
    if (result.drained && incoming_ == Incoming::kOpen) return {IoStatus::kWantRead, 0, true};
  }
  end_told_ = true;
  return {incoming_ == Incoming::kFailed ? IoStatus::kFailed : IoStatus::kEnded};
}

bool RecordStream::take_drained() {
  const bool drained = drained_;
  drained_ = false;
  return drained;
}

bool RecordStream::has_buffered() const {
  return incoming_ == Incoming::kOpen ? partial_.has_record() : !end_told_;
}

IoStatus RecordStream::write(std::span<const std::byte> bytes) {
  if (outgoing_ != Outgoing::kOpen) return IoStatus::kFailed;
  HG_CHECK(bytes.size() <= kMaxWriteBytes);
  std::span<std::byte> room(buffers_.sending);
  if (owes_key_update_ || protector_.key_is_worn()) {
    owes_key_update_ = false;
    room = room.subspan(protector_.seal_key_update(KeyUpdateRequest::kNotRequested, room));
  }
  sizing_.begin_write(coarse_now());
  opener_.sent(bytes.size());
  while (!bytes.empty()) {
    const auto content = bytes.first(std::min(bytes.size(), sizing_.next_record_bytes()));
    room = room.subspan(protector_.seal(ContentType::kApplicationData, content, room));
    sizing_.sent(content.size());
    bytes = bytes.subspan(content.size());
  }
  return send_sealed(buffers_.sending.size() - room.size());
}

IoStatus RecordStream::flush() {
  if (outgoing_ == Outgoing::kFailed) return IoStatus::kFailed;
  holds_back_ = false;
  const Then then = outgoing_ == Outgoing::kClosing ? Then::kEnd : Then::kMore;
  const IoStatus status = outcome(unsent_.send(fd_.number(), then));
  return status == IoStatus::kDone && owes_key_update_ ? answer_key_update() : status;
}

void RecordStream::hold_back(std::span<const std::byte> messages) {
  while (!messages.empty()) {
    const auto content = messages.first(std::min(messages.size(), kMaxRecordContentBytes));
    const std::size_t size = protector_.seal(ContentType::kHandshake, content, buffers_.sending);
    unsent_.keep(std::span<const std::byte>(buffers_.sending).first(size));
    messages = messages.subspan(content.size());
    holds_back_ = true;
  }
}

IoStatus RecordStream::end_writing() {
  return send_last_and_end(Alert::kCloseNotify);
}

IoStatus RecordStream::end_with_alert(std::uint8_t alert) {
  return send_last_and_end(static_cast<Alert>(alert));
}

IoStatus RecordStream::end_before_close() {
  return outgoing_ == Outgoing::kEnded ? IoStatus::kDone : send_last(Alert::kCloseNotify);
}

// What is unsent may be the alert about the failure for which the stream ends.
IoStatus RecordStream::end_cut_short() {
  if (outgoing_ == Outgoing::kEnded) return IoStatus::kDone;
  holds_back_ = false;
  if (unsent_.send(fd_.number(), Then::kEnd).status == IoStatus::kWantWrite) return IoStatus::kWantWrite;
  outgoing_ = Outgoing::kEnded;
  protector_.retire();
  send_end(fd_.number());
  return IoStatus::kDone;
}

IoStatus RecordStream::send_last_and_end(Alert alert) {
  if (outgoing_ == Outgoing::kEnded) return IoStatus::kDone;
  const IoStatus status = send_last(alert);
  if (status == IoStatus::kDone) send_end(fd_.number());
  return status;
}

/// Sends the alert behind which we send nothing more: once, and flushes from then on.
IoStatus RecordStream::send_last(Alert alert) {
  IoStatus status = IoStatus::kFailed;
  if (outgoing_ == Outgoing::kOpen) {
    outgoing_ = Outgoing::kClosing;
    owes_key_update_ = false;  // due only before more data, and none follows
    status = send_sealed(protector_.seal_alert(alert, buffers_.sending), Then::kEnd);
  } else {
    status = flush();
  }
  if (status != IoStatus::kDone) return status;
  outgoing_ = Outgoing::kEnded;
  protector_.retire();
  return IoStatus::kDone;
}

void RecordStream::reset_on_close() {
  set_reset_on_close(fd_.number());
}

const StreamFailure& RecordStream::failure() const {
  return failure_ ? *failure_ : no_failure();
}

bool RecordStream::is_movable() const {
  return incoming_ == Incoming::kOpen && outgoing_ == Outgoing::kOpen && opener_.between_messages() &&
         !owes_key_update_;
}

RecordStreamState RecordStream::state() const {
  HG_CHECK(is_movable());
  const auto received = partial_.bytes();
  const auto unsent = unsent_.bytes();
  return {
      .socket = Fd(),
      .role = opener_.role(),
      .sending = protector_.state(),
      .receiving = opener_.state(),
      .received = {received.begin(), received.end()},
      .unsent = {unsent.begin(), unsent.end()},
      .holds_back = holds_back_,
  };
}

RecordStreamState RecordStream::take_state() {
  RecordStreamState taken = state();
  taken.socket = std::move(fd_);
  incoming_ = Incoming::kFailed;
  outgoing_ = Outgoing::kFailed;
  protector_.retire();
  opener_.retire();
  return taken;
}

RecordOpener::Opened RecordStream::open_kept(std::span<std::byte> into) {
  const RecordOpener::Opened opened = opener_.open(partial_.bytes(), into);
  partial_.consume(opened.consumed_bytes);
  return opened;
}

// Bytes that could not be delivered are not received: a record's content is kRecordOverheadBytes shorter than
// the record, so that much more than `into` has room for still fits. The missing part of a record that has
// begun goes where its beginning is kept, the rest to the worker's buffer.
ReadResult RecordStream::receive(std::span<std::byte> into, std::uint16_t& key_updates) {
  const std::span<std::byte> missing = partial_.room_for_missing();
  const std::size_t taken = partial_.bytes().size() + missing.size();
  const std::size_t bound = into.size() + kRecordOverheadBytes;
  const std::size_t behind = std::min(buffers_.received.size(), bound - std::min(bound, taken));
  const std::span<std::byte> fresh = std::span(buffers_.received).first(behind);
  const SocketIo got =
      missing.empty() ? receive_some(fd_.number(), fresh) : receive_some(fd_.number(), missing, fresh);
  if (got.status == IoStatus::kWantRead) return {IoStatus::kWantRead, 0, true};
  if (got.status != IoStatus::kDone) {
    end_of_transport(got);
    return {IoStatus::kDone};
  }
  const std::size_t completed = std::min(got.size_bytes, missing.size());
  partial_.added(completed);
  const std::size_t size = settle(open_received(fresh.first(got.size_bytes - completed), into), key_updates);
  const bool drained = got.size_bytes < missing.size() + fresh.size() && !has_buffered();
  return {IoStatus::kDone, size, drained};
}

// The record whose beginning is kept comes first; it is completed where it is. Then records are opened where
// they were received, and what is left of the last one is kept.
RecordOpener::Opened RecordStream::open_received(std::span<const std::byte> received,
                                                 std::span<std::byte> into) {
  RecordOpener::Opened first;
  if (!partial_.empty()) {
    received = complete_partial(received);
    first = open_kept(into);
    if (first.status != RecordOpener::Status::kNeedsMore) {
      partial_.append(received);
      return first;
    }
  }
  RecordOpener::Opened opened = opener_.open(received, into.subspan(first.produced_bytes));
  opened.produced_bytes += first.produced_bytes;
  opened.key_updates = static_cast<std::uint16_t>(opened.key_updates + first.key_updates);
  partial_.append(received.subspan(opened.consumed_bytes));
  partial_.release_if_empty();
  return opened;
}

// Twice at most: the rest of the header, then the rest of the record.
std::span<const std::byte> RecordStream::complete_partial(std::span<const std::byte> received) {
  while (!received.empty() && partial_.missing_bytes() > 0) {
    const std::size_t size = std::min(received.size(), partial_.missing_bytes());
    partial_.append(received.first(size));
    received = received.subspan(size);
  }
  return received;
}

// Handles the effects of the records other than their bytes. Returns how many bytes they brought: an end or a
// failure behind them is told by the next read().
std::size_t RecordStream::settle(const RecordOpener::Opened& opened, std::uint16_t& key_updates) {
  key_updates = static_cast<std::uint16_t>(key_updates + opened.key_updates);
  opener_.budget().earn(opened.produced_bytes);
  if (opener_.take_key_update_request()) owes_key_update_ = true;
  switch (opened.status) {
    case RecordOpener::Status::kNeedsMore:
    case RecordOpener::Status::kNoRoom:
      break;
    case RecordOpener::Status::kEnded:
      end_reading(Incoming::kEnded);
      break;
    case RecordOpener::Status::kPeerAlert:
      fail(alert_of_peer(opened.alert));
      break;
    case RecordOpener::Status::kProtocol:
      send_fatal_alert(opened.alert);
      fail({FailureKind::kProtocol, static_cast<int>(opened.alert), opened.what});
      break;
    case RecordOpener::Status::kFlood:
      send_fatal_alert(opened.alert);
      fail({FailureKind::kFlood, static_cast<int>(opened.alert), opened.what});
      break;
  }
  if (owes_key_update_) answer_key_update();
  return opened.produced_bytes;
}

void RecordStream::end_of_transport(const SocketIo& got) {
  if (got.status == IoStatus::kFailed) return fail(failure_of_errno("receive", got.error));
  if (partial_.empty() && opener_.between_messages()) return end_reading(Incoming::kCutShort);
  fail({FailureKind::kTruncated, -1, "the connection ended in the middle of a TLS record"});
}

void RecordStream::end_reading(Incoming how) {
  incoming_ = how;
  opener_.retire();
  partial_ = PartialRecord();
}

// Answers at once if nothing waits to be sent, else in front of the next data, as RFC 8446, section 4.6.3,
// demands.
IoStatus RecordStream::answer_key_update() {
  if (outgoing_ != Outgoing::kOpen) owes_key_update_ = false;
  if (!owes_key_update_ || !unsent_.empty()) return unsent_.empty() ? IoStatus::kDone : IoStatus::kWantWrite;
  owes_key_update_ = false;
  return send_sealed(protector_.seal_key_update(KeyUpdateRequest::kNotRequested, buffers_.sending));
}

void RecordStream::send_fatal_alert(Alert alert) {
  if (outgoing_ == Outgoing::kOpen) send_sealed(protector_.seal_alert(alert, buffers_.sending));
}

IoStatus RecordStream::send_sealed(std::size_t size_bytes, Then then) {
  holds_back_ = false;
  const auto sealed = std::span<const std::byte>(buffers_.sending).first(size_bytes);
  if (unsent_.empty()) return outcome(send_or_keep(fd_.number(), sealed, unsent_, then));
  unsent_.keep(sealed);
  return outcome(unsent_.send(fd_.number(), then));
}

// The peer may have sent its last bytes before it stopped reading, so only sending is over.
IoStatus RecordStream::outcome(const SocketIo& io) {
  if (io.status != IoStatus::kFailed) return io.status;
  outgoing_ = Outgoing::kFailed;
  failure_ = std::make_unique<StreamFailure>(failure_of_errno("send", io.error));
  protector_.retire();
  return IoStatus::kFailed;
}

void RecordStream::fail(StreamFailure failure) {
  end_reading(Incoming::kFailed);
  outgoing_ = Outgoing::kFailed;
  protector_.retire();
  failure_ = std::make_unique<StreamFailure>(std::move(failure));
}

}  // namespace headgate
