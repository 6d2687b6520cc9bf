#include "visit.h"

#include <utility>

namespace headgate::bench {

Visit::Visit(Poller& poller, Target& target, TimePoint born, const Over& over)
    : born_(born), over_(over), connection_(poller, *this, target) {
  write_request('e', 0, question_);
}

void Visit::on_ready() {
  for (;;) {
    switch (step()) {
      case Progress::kDone:
        break;
      case Progress::kWait:
        return;
      // In the last stage an end is what is waited for.
      case Progress::kEnded:
        return over_(*this, stage_ == Stage::kLeave ? Outcome::kServed : Outcome::kFailed);
    }
  }
}

Progress Visit::step() {
  Progress progress = Progress::kWait;
  std::array<char, 256> answer;
  std::size_t got = 0;
  switch (stage_) {
    case Stage::kHandshake:
      progress = connection_.handshake();
      if (progress == Progress::kDone) stage_ = Stage::kAsk;
      return progress;
    case Stage::kAsk:
      progress = connection_.write(unsent_);
      if (progress == Progress::kDone) stage_ = Stage::kListen;
      return progress;
    case Stage::kListen:
      progress = connection_.read(answer, got);
      if (progress == Progress::kDone) heard_bytes_ += got;
      if (heard_bytes_ < 64) return progress;
      answered_ = Clock::now();
      connection_.end();
      stage_ = Stage::kLeave;
      return Progress::kDone;
    case Stage::kLeave:
      return connection_.read(answer, got);
  }
  return progress;
}

Visits::Visits(Poller& poller, Target& target, Note note)
    : poller_(poller),
      target_(target),
      over_([this, note = std::move(note)](const Visit& visit, Visit::Outcome outcome) {
        note(visit, outcome);
        visits_.erase(visit.born());
      }) {}

void Visits::begin() {
  TimePoint born = Clock::now();
  if (!visits_.empty() && visits_.rbegin()->first >= born)
    born = visits_.rbegin()->first + Clock::duration(1);
  visits_.emplace(born, std::make_unique<Visit>(poller_, target_, born, over_));
}

}  // namespace headgate::bench
