#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "log/line.h"
#include "log/log_file.h"

namespace headgate {

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  int fd = 2;  ///< Where lines go; borrowed, must stay open as long as the Log.
  /// Whether open() starts the thread, or the caller does so later by start_thread().
  enum class Thread { kNow, kLater } thread = Thread::kNow;
};

/// The log of the process: made once by main and passed by reference. Any thread.
///
/// Writing never waits for the reader of the log: a line goes into a queue of kQueueLines that a thread of
/// the Log's own empties. When the queue is full the oldest line is dropped and counted. In text format, when
/// `fd` is the journal's stream, lines go to the journal with their fields instead.
///
/// A process that is to enter its sandbox with a single thread starts the Log's thread afterwards. Until then
/// the caller of write() writes the line itself, and all lines together wait for the reader for at most
/// kFlushPatience; from then on a line that finds no room is lost and counted. One thread only.
///
/// The destructor writes the queued lines, for at most kFlushPatience, so that a reader that does not read
/// cannot hold up the process.
class Log {
 public:
  static constexpr std::size_t kQueueLines = 1024;
  static constexpr std::chrono::milliseconds kFlushPatience{500};

  /// Errors: kSystem, the thread could not be started.
  [[nodiscard]] static Result<std::unique_ptr<Log>> open(const LogOptions& options);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// Leaves the writing to a thread from now on, if it is not so already. Before other threads use the Log.
  /// Errors: kSystem, the thread could not be started.
  [[nodiscard]] Result<void> start_thread();

  /// Whether a line of this level would be written. Ask before you build something that only the line needs.
  [[nodiscard]] bool enabled(LogLevel level) const { return level <= level_.load(std::memory_order_relaxed); }
  void set_level(LogLevel level) { level_.store(level, std::memory_order_relaxed); }
  [[nodiscard]] LogLevel level() const { return level_.load(std::memory_order_relaxed); }

  /// Writes one line when `level` is enabled. `message` is a fixed sentence; anything that a peer sent
  /// belongs in a field.
  void write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {}) {
    if (enabled(level)) write_always(level, message, {fields.begin(), fields.size()});
  }
  /// Writes one line whatever its level is, for a caller that has decided by itself.
  void write_always(LogLevel level, std::string_view message, std::span<const LogField> fields);

  void error(std::string_view message, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::kError, message, fields);
  }
  void warn(std::string_view message, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::kWarn, message, fields);
  }
  void info(std::string_view message, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::kInfo, message, fields);
  }
  void debug(std::string_view message, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::kDebug, message, fields);
  }

  /// After a rotation, opens the file that now has the log's name and goes on there. Does nothing if the log
  /// is not a file. One thread at a time. Errors: kSystem; lines then still go to the old file.
  [[nodiscard]] Result<void> reopen() { return file_.reopen(); }
  /// The path of the log's file; empty if the log is not a file.
  [[nodiscard]] const std::string& file() const { return file_.path(); }

  /// Lines lost so far because the queue was full or the reader did not read.
  [[nodiscard]] std::uint64_t dropped() const;

 private:
  class Queue;
  Log(const LogOptions& options, std::unique_ptr<Queue> queue);

  std::atomic<LogLevel> level_;
  LogFile file_;
  void (*append_line_)(std::string&, const LogLine&);
  std::unique_ptr<Queue> queue_;
};

}  // namespace headgate
