#include "connection/flight_recorder.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace headgate {
namespace {

RecordedHandshake record_of(std::string_view listener, const ConnectionInfo& info, HandshakeResult result,
                            const HandshakeTimes& times, ClientOffer offer) {
  return {.at = std::chrono::system_clock::now(),
          .listener = std::string(listener),
          .source = info.client,
          .result = result,
          .failure = info.failure,
          .alert = info.alert,
          .server_name = std::string(info.server_name.view().substr(0, RecordedHandshake::kMaxNameBytes)),
          .offer = std::move(offer),
          .version = std::string(info.tls->version.view()),
          .group = std::string(info.tls->group.view()),
          .cipher = std::string(info.tls->cipher.view()),
          .resumed = info.tls->resumed,
          .times = times};
}

bool slower(const RecordedHandshake& a, const RecordedHandshake& b) {
  return a.times.total > b.times.total;
}

}  // namespace

void FlightRecorder::done(std::string_view listener, const ConnectionInfo& info, const HandshakeTimes& times,
                          const ClientOffer& offer, TimePoint now) {
  if (info.probe) return;
  begin_window(now);
  const bool full = slowest_.size() == kKept;
  if (full && times.total <= slowest_.front().times.total) return;
  if (full) {
    std::pop_heap(slowest_.begin(), slowest_.end(), slower);
    slowest_.pop_back();
  }
  slowest_.push_back(record_of(listener, info, HandshakeResult::kOk, times, offer));
  std::push_heap(slowest_.begin(), slowest_.end(), slower);
}

std::vector<RecordedHandshake> FlightRecorder::slowest(TimePoint now) {
  begin_window(now);
  std::vector<RecordedHandshake> all = slowest_;
  all.insert(all.end(), before_.begin(), before_.end());
  std::ranges::sort(all, slower);
  if (all.size() > kKept) all.resize(kKept);
  return all;
}

// A handshake that was slow on a bad day must not hide one that is slow today.
void FlightRecorder::begin_window(TimePoint now) {
  if (now < window_ends_) return;
  const bool follows = now < window_ends_ + kWindow;
  before_ = follows ? std::move(slowest_) : std::vector<RecordedHandshake>();
  slowest_.clear();
  window_ends_ = now + kWindow;
}

void FlightRecorder::failed(std::string_view listener, const ConnectionInfo& info, HandshakeResult result,
                            const HandshakeTimes& times, ClientOffer offer) {
  if (info.probe) return;
  RecordedHandshake record = record_of(listener, info, result, times, std::move(offer));
  if (failed_.size() < kKept) {
    failed_.push_back(std::move(record));
    return;
  }
  failed_[next_] = std::move(record);
  next_ = (next_ + 1) % kKept;
}

}  // namespace headgate
