#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <random>
#include <vector>

#include "client_hello.h"
#include "loopback.h"
#include "measure.h"
#include "modes.h"

namespace headgate::bench {
namespace {

/// So many records of one byte come at once before the first that comes alone: 60,000 bytes, which a server
/// has to keep, and must not read again with each that follows.
constexpr std::size_t kRecordsBefore = 10'000;

/// A connection that sends a ClientHello in pieces of one byte.
class Dripping final : public Pollable {
 public:
  /// `message` is the ClientHello without a record around it, and outlives this.
  Dripping(Poller& poller, const Options& options, const sockaddr_in& source, const std::string& message)
      : message_(message), tiny_records_(options.tiny_records), fd_(connect_from(source, options.port)) {
    poller.add(fd_, *this);
  }
  ~Dripping() override { close(fd_); }

  [[nodiscard]] bool over() const { return over_ || at_ + 1 >= message_.size(); }

  void on_ready() override {
    std::array<char, 256> answer;
    const ssize_t got = recv(fd_, answer.data(), answer.size(), 0);
    if (got >= 0 || errno != EAGAIN) over_ = true;  // an answer can only be an alert
  }

  /// Sends the next piece. Whether it went out.
  bool drip() {
    const std::string piece = next_piece();
    if (send(fd_, piece.data(), piece.size(), MSG_NOSIGNAL) < 0) {
      over_ = over_ || errno != EAGAIN;
      return false;
    }
    at_ += tiny_records_ && at_ == 0 ? kRecordsBefore : 1;
    return true;
  }

 private:
  [[nodiscard]] std::string next_piece() const {
    if (!tiny_records_)
      return at_ == 0 ? record_header(message_.size()) + message_[0] : message_.substr(at_, 1);
    const std::size_t count = at_ == 0 ? kRecordsBefore : 1;
    std::string records;
    for (std::size_t i = 0; i < count; ++i) records += record_header(1) + message_[at_ + i];
    return records;
  }

  [[nodiscard]] static std::string record_header(std::size_t size_bytes) {
    return {0x16, 3, 1, static_cast<char>(size_bytes >> 8), static_cast<char>(size_bytes & 0xff)};
  }

  const std::string& message_;
  bool tiny_records_;
  bool over_ = false;
  std::size_t at_ = 0;
  int fd_;
};

class Drip {
 public:
  explicit Drip(const Options& options)
      : options_(options),
        message_(make_message(options)),
        sources_(kFirstAttackerAddress, options.sources) {}

  void run() {
    open_all();
    await_calm();
    std::puts("{}");  // the flood begins
    std::fflush(stdout);
    const TimePoint begin = Clock::now();
    const TimePoint end =
        begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.seconds));
    const auto gap =
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / options_.rate));
    Measure measure(options_.pids);
    measure.begin();
    for (TimePoint next = begin; Clock::now() < end;) {
      for (std::size_t burst = 0; next <= Clock::now() && burst < kMostInATurn; next += gap, ++burst)
        drip_next();
      poller_.turn(std::min(next, end));
    }
    measure.end();
    report(measure);
  }

 private:
  /// Pieces sent before answers are looked at. A rate that the machine cannot bring does not keep that from
  /// happening.
  static constexpr std::size_t kMostInATurn = 256;

  static std::string make_message(const Options& options) {
    std::mt19937_64 random{std::random_device{}()};
    return ClientHello(options, random).padded();
  }

  [[nodiscard]] std::unique_ptr<Dripping> open() {
    ++opened_;
    return std::make_unique<Dripping>(poller_, options_, sources_.next(), message_);
  }

  /// Each sends its first piece. Some at once, so that the listener's queue of new connections does not
  /// overflow.
  void open_all() {
    while (connections_.size() < options_.connections) {
      connections_.push_back(open());
      if (connections_.size() % 64 == 0) poller_.turn(Clock::now() + std::chrono::milliseconds(2));
    }
    for (const auto& each : connections_) each->drip();
  }

  /// Waits until the proxy has done with the first pieces: it uses less than a fifth of a core. A proxy that
  /// is never done is not waited for.
  void await_calm() {
    const TimePoint latest = Clock::now() + std::chrono::seconds(5);
    Measure measure(options_.pids);
    do {
      measure.begin();
      const TimePoint look = Clock::now() + std::chrono::milliseconds(100);
      while (Clock::now() < look) poller_.turn(look);
      measure.end();
    } while (measure.cpu_seconds() > 0.02 && Clock::now() < latest);
  }

  /// The next piece of the next connection; one that is over makes room for another.
  void drip_next() {
    auto& connection = connections_[turn_++ % connections_.size()];
    if (connection->over()) connection = open();
    offered_ += connection->drip() ? 1 : 0;
  }

  void report(const Measure& measure) {
    Report report;
    report.add("offered", static_cast<double>(offered_));
    report.add("operations", static_cast<double>(offered_));
    report.add("opened", static_cast<double>(opened_));
    report.add(measure);
    report.print();
  }

  const Options& options_;
  const std::string message_;
  Sources sources_;
  Poller poller_;
  std::vector<std::unique_ptr<Dripping>> connections_;
  std::size_t turn_ = 0;
  long offered_ = 0, opened_ = 0;
};

}  // namespace

void run_drip(const Options& options) {
  if (options.rate <= 0 || options.connections == 0) give_up("drip needs a rate and connections");
  Drip(options).run();
}

}  // namespace headgate::bench
