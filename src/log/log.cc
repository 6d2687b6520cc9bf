#include "log/log.h"

#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include <climits>
#include <spdlog/async_logger.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/base_sink.h>
#include <systemd/sd-journal.h>

#include "base/thread_signals.h"

namespace headgate {
namespace {

/// How long the writing thread waits for room before it checks whether the Log is being closed.
constexpr std::chrono::milliseconds kPollSlice{50};

/// The only output for lines. The queue's thread uses it; other threads call stop_by() and lost() alone.
class LineSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  /// From now on, waiting for a reader ends at `deadline`; TimePoint::max(): it never ends.
  void stop_by(TimePoint deadline) {
    deadline_.store(deadline.time_since_epoch().count(), std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 protected:
  [[nodiscard]] bool out_of_time() const {
    return Clock::now().time_since_epoch().count() >= deadline_.load(std::memory_order_relaxed);
  }
  void count_lost() { lost_.fetch_add(1, std::memory_order_relaxed); }
  void flush_() override {}

 private:
  std::atomic<Duration::rep> deadline_{Duration::max().count()};
  std::atomic<std::uint64_t> lost_{0};
};

/// Writes to a descriptor whose flags must stay as they are, because other programs share it (stderr). So it
/// asks poll() for room and then writes no more than a pipe with room takes without blocking (PIPE_BUF,
/// pipe(7)).
class FdSink final : public LineSink {
 public:
  explicit FdSink(int fd) : fd_(fd) {}

 private:
  void sink_it_(const spdlog::details::log_msg& line) override {
    std::string_view rest{line.payload.data(), line.payload.size()};
    while (!rest.empty()) {
      if (!wait_for_room()) return count_lost();
      const ssize_t written = ::write(fd_, rest.data(), std::min<std::size_t>(rest.size(), PIPE_BUF));
      if (written < 0 && errno != EINTR && errno != EAGAIN) return count_lost();
      if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  bool wait_for_room() {
    pollfd room{.fd = fd_, .events = POLLOUT, .revents = 0};
    while (!out_of_time()) {
      if (::poll(&room, 1, static_cast<int>(kPollSlice.count())) > 0) return true;
    }
    return ::poll(&room, 1, 0) > 0;
  }

  int fd_;
};

/// Sends an entry to the journal with its fields (systemd.journal-fields(7)). The line is in
/// append_journal()'s form.
class JournalSink final : public LineSink {
  void sink_it_(const spdlog::details::log_msg& line) override {
    std::vector<iovec> fields;
    std::string_view rest{line.payload.data(), line.payload.size()};
    for (auto end = rest.find('\n'); end != rest.npos; end = rest.find('\n')) {
      fields.push_back({const_cast<char*>(rest.data()), end});
      rest.remove_prefix(end + 1);
    }
    if (::sd_journal_sendv(fields.data(), static_cast<int>(fields.size())) < 0) count_lost();
  }
};

/// systemd.exec(5): $JOURNAL_STREAM is "device:inode" of the stream that standard error was connected to.
bool is_journal_stream(int fd) {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status{};
  if (stream == nullptr || ::fstat(fd, &status) != 0) return false;
  return stream == std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

/// The supervisor's thread handles signals.
void begin_thread() {
  block_process_signals();
  pthread_setname_np(pthread_self(), "log");
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kDebug:
      return spdlog::level::debug;
  }
  return spdlog::level::debug;
}

}  // namespace

/// The bounded queue and, once it is started, the thread that empties it into the sink. Before that the
/// caller writes into the sink.
class Log::Queue {
 public:
  explicit Queue(std::shared_ptr<LineSink> sink)
      : sink_(std::move(sink)), logger_(std::make_shared<spdlog::logger>("headgate", sink_)) {
    logger_->set_level(spdlog::level::trace);
    sink_->stop_by(Clock::now() + kFlushPatience);
  }
  /// The pool's destructor waits for its thread, which the deadline keeps from waiting for a reader.
  ~Queue() { sink_->stop_by(Clock::now() + kFlushPatience); }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Throws std::exception, from spdlog.
  void start_thread() {
    if (pool_) return;
    auto pool = std::make_shared<spdlog::details::thread_pool>(kQueueLines, 1, begin_thread);
    logger_ = std::make_shared<spdlog::async_logger>("headgate", sink_, pool,
                                                     spdlog::async_overflow_policy::overrun_oldest);
    logger_->set_level(spdlog::level::trace);
    pool_ = std::move(pool);
    sink_->stop_by(TimePoint::max());
  }

  void push(LogLevel level, std::string_view line) {
    logger_->log(spdlog_level(level), spdlog::string_view_t{line.data(), line.size()});
  }
  [[nodiscard]] std::uint64_t dropped() const {
    return (pool_ ? pool_->overrun_counter() : 0) + sink_->lost();
  }

 private:
  std::shared_ptr<LineSink> sink_;
  std::shared_ptr<spdlog::details::thread_pool> pool_;  // nullptr until the thread is started
  std::shared_ptr<spdlog::logger> logger_;
};

Result<std::unique_ptr<Log>> Log::open(const LogOptions& options) {
  const bool journal = options.format == LogFormat::kText && is_journal_stream(options.fd);
  std::shared_ptr<LineSink> sink;
  if (journal) sink = std::make_shared<JournalSink>();
  if (!journal) sink = std::make_shared<FdSink>(options.fd);
  auto log = std::unique_ptr<Log>(new Log(options, std::make_unique<Queue>(std::move(sink))));
  if (journal) log->append_line_ = append_journal;
  if (options.thread == LogOptions::Thread::kLater) return log;
  if (auto started = log->start_thread(); !started) return tl::unexpected(std::move(started.error()));
  return log;
}

Result<void> Log::start_thread() {
  try {
    queue_->start_thread();
    return {};
  } catch (const std::exception& error) {
    return fail(ErrorKind::kSystem, std::string("cannot start the log's thread: ") + error.what());
  }
}

Log::Log(const LogOptions& options, std::unique_ptr<Queue> queue)
    : level_(options.level),
      file_(options.fd),
      append_line_(options.format == LogFormat::kJson ? append_json : append_text),
      queue_(std::move(queue)) {}

Log::~Log() = default;

void Log::write_always(LogLevel level, std::string_view message, std::span<const LogField> fields) {
  std::string line;
  line.reserve(256);
  append_line_(line, {std::chrono::system_clock::now(), level, message, fields});
  queue_->push(level, line);
}

std::uint64_t Log::dropped() const {
  return queue_->dropped();
}

}  // namespace headgate
