#include "admin/visits.h"

#include <sys/socket.h>

#include <algorithm>

namespace headgate {
namespace {

/// The library sees the end of the stream, or an error, and closes the connection.
void cut(Visit& visit) {
  visit.cut = true;
  ::shutdown(visit.socket, SHUT_RDWR);
}

bool has_deadline(const Visit& visit) {
  return !visit.cut && visit.stage != Visit::Stage::kWaits;
}

}  // namespace

Visit& Visits::begin(MHD_Connection* connection, int socket, TimePoint now) {
  Visit& visit = all_.emplace_back();
  visit.connection = connection;
  visit.socket = socket;
  visit.deadline = now + kTimeToAsk;
  return visit;
}

void Visits::end(const Visit& visit) {
  all_.remove_if([&](const Visit& one) { return &one == &visit; });
}

void Visits::waits(Visit& visit) {
  visit.stage = Visit::Stage::kWaits;
}

void Visits::takes(Visit& visit, TimePoint now) {
  visit.stage = Visit::Stage::kTakes;
  visit.deadline = now + kTimeToTake;
  const auto own = std::ranges::find_if(all_, [&](const Visit& one) { return &one == &visit; });
  all_.splice(all_.end(), all_, own);
  while (untaken_bytes() > kMaxUntakenBytes) {
    Visit* other = oldest(Visit::Stage::kTakes);
    if (other == &visit) return;
    cut(*other);
  }
}

void Visits::make_room() {
  const auto there = std::ranges::count_if(all_, [](const Visit& one) { return !one.cut; });
  if (static_cast<std::size_t>(there) < kMax) return;
  Visit* least = oldest(Visit::Stage::kAsks);
  if (least == nullptr) least = oldest(Visit::Stage::kTakes);
  if (least != nullptr) cut(*least);
}

void Visits::cut_overdue(TimePoint now) {
  for (Visit& one : all_) {
    if (has_deadline(one) && one.deadline <= now) cut(one);
  }
}

std::optional<TimePoint> Visits::next_deadline() const {
  std::optional<TimePoint> next;
  for (const Visit& one : all_) {
    if (has_deadline(one) && (!next || one.deadline < *next)) next = one.deadline;
  }
  return next;
}

std::list<Visit*> Visits::waiting() {
  std::list<Visit*> found;
  for (Visit& one : all_) {
    if (one.stage == Visit::Stage::kWaits) found.push_back(&one);
  }
  return found;
}

Visit* Visits::oldest(Visit::Stage stage) {
  const auto found =
      std::ranges::find_if(all_, [stage](const Visit& one) { return !one.cut && one.stage == stage; });
  return found == all_.end() ? nullptr : &*found;
}

std::size_t Visits::untaken_bytes() const {
  std::size_t bytes = 0;
  for (const Visit& one : all_) {
    if (!one.cut && one.stage == Visit::Stage::kTakes) bytes += one.response->body.size();
  }
  return bytes;
}

}  // namespace headgate
