#include "log/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headgate {
namespace {

using ::testing::HasSubstr;

/// A pipe whose reading end can be read to its end.
struct Pipe {
  Pipe() { EXPECT_EQ(::pipe(ends), 0); }
  ~Pipe() {
    ::close(ends[0]);
    close_writer();
  }
  void close_writer() {
    if (ends[1] >= 0) ::close(ends[1]);
    ends[1] = -1;
  }
  std::string read_all() {
    close_writer();
    std::string all;
    char chunk[4096];
    for (ssize_t n = 0; (n = ::read(ends[0], chunk, sizeof chunk)) > 0;)
      all.append(chunk, static_cast<std::size_t>(n));
    return all;
  }
  /// Waits for the next bytes.
  std::string read_some() {
    char chunk[4096];
    const ssize_t n = ::read(ends[0], chunk, sizeof chunk);
    return {chunk, static_cast<std::size_t>(std::max<ssize_t>(n, 0))};
  }
  int ends[2] = {-1, -1};
};

std::unique_ptr<Log> open_log(const Pipe& pipe, LogLevel level = LogLevel::kInfo,
                              LogFormat format = LogFormat::kText) {
  auto log = Log::open({.level = level, .format = format, .fd = pipe.ends[1]});
  EXPECT_TRUE(log.has_value());
  return std::move(*log);
}

TEST(Log, WritesWhatIsQueuedBeforeItEnds) {
  Pipe pipe;
  auto log = open_log(pipe);
  for (int i = 0; i < 100; ++i) log->info("line", {{"i", std::int64_t{i}}});
  log.reset();
  const std::string all = pipe.read_all();
  EXPECT_NE(all.find("line i=0\n"), all.npos);
  EXPECT_NE(all.find("line i=99\n"), all.npos);
}

TEST(Log, LeavesOutLevelsThatAreNotAskedForUntilTheyAre) {
  Pipe pipe;
  auto log = open_log(pipe, LogLevel::kWarn);
  EXPECT_FALSE(log->enabled(LogLevel::kInfo));
  log->info("before");
  log->set_level(LogLevel::kInfo);
  EXPECT_TRUE(log->enabled(LogLevel::kInfo));
  log->info("after");
  log.reset();
  const std::string all = pipe.read_all();
  EXPECT_EQ(all.find("before"), all.npos);
  EXPECT_NE(all.find("after"), all.npos);
}

TEST(Log, WritesJsonWhenAsked) {
  Pipe pipe;
  open_log(pipe, LogLevel::kInfo, LogFormat::kJson)->warn("m", {{"k", "v"}});
  const std::string all = pipe.read_all();
  EXPECT_NE(all.find(R"("level":"warn","message":"m","k":"v"})"), all.npos) << all;
}

TEST(Log, NeitherStallsTheCallerNorItsEndWhenNobodyReads) {
  Pipe pipe;
  auto log = open_log(pipe);
  const std::string long_value(1000, 'x');
  for (int i = 0; i < 5000; ++i) log->info("line", {{"v", long_value}});
  EXPECT_GT(log->dropped(), 0U);
  const auto started = Clock::now();
  log.reset();
  EXPECT_LT(Clock::now() - started, std::chrono::seconds(5));
}

TEST(Log, KeepsLinesOfSeveralThreadsWhole) {
  Pipe pipe;
  ::fcntl(pipe.ends[1], F_SETPIPE_SZ, 1 << 20);
  auto log = open_log(pipe);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&log] {
      for (int i = 0; i < 200; ++i) log->info("whole", {{"end", "here"}});
    });
  }
  for (auto& thread : threads) thread.join();
  log.reset();
  const std::string all = pipe.read_all();
  std::size_t lines = 0;
  for (std::size_t at = 0; at < all.size();) {
    const auto end = all.find('\n', at);
    ASSERT_NE(end, all.npos);
    EXPECT_EQ(all.substr(at, end - at).substr(24), " info  whole end=here");
    at = end + 1;
    ++lines;
  }
  EXPECT_EQ(lines, 800U);
}

TEST(Log, CountsLinesThatTheDescriptorRefuses) {
  auto log = Log::open({.fd = ::open("/dev/full", O_WRONLY | O_CLOEXEC)});
  ASSERT_TRUE(log.has_value());
  (*log)->info("lost");
  const auto deadline = Clock::now() + std::chrono::seconds(5);
  while ((*log)->dropped() == 0 && Clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ((*log)->dropped(), 1U);
}

/// Whether the thread that writes lines runs. Other threads do not count: a sanitizer may start one.
bool writer_runs() {
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(thread.path() / "comm") >> std::ws, name);
    if (name == "log") return true;
  }
  return false;
}

TEST(Log, WritesWithoutAThreadUntilOneIsStarted) {
  Pipe pipe;
  auto log = Log::open({.fd = pipe.ends[1], .thread = LogOptions::Thread::kLater});
  ASSERT_TRUE(log.has_value());
  (*log)->info("early");
  EXPECT_THAT(pipe.read_some(), HasSubstr("early"));
  EXPECT_FALSE(writer_runs());
  ASSERT_TRUE((*log)->start_thread());
  (*log)->info("late");
  EXPECT_THAT(pipe.read_some(), HasSubstr("late"));
  EXPECT_TRUE(writer_runs());
  log->reset();
  EXPECT_FALSE(writer_runs());
}

TEST(Log, WithoutAThreadHoldsUpItsCallerOnlyOnceWhenNobodyReads) {
  Pipe pipe;
  auto log = Log::open({.fd = pipe.ends[1], .thread = LogOptions::Thread::kLater});
  ASSERT_TRUE(log.has_value());
  const auto started = Clock::now();
  const std::string long_value(1000, 'x');
  for (int i = 0; i < 5000; ++i) (*log)->info("line", {{"v", long_value}});
  EXPECT_LT(Clock::now() - started, std::chrono::seconds(5));
  EXPECT_GT((*log)->dropped(), 4000U);
}

TEST(Log, WritesTextWhenTheJournalIsNotItsStream) {
  ::setenv("JOURNAL_STREAM", "1:1", 1);
  Pipe pipe;
  open_log(pipe)->info("to the pipe");
  ::unsetenv("JOURNAL_STREAM");
  const std::string all = pipe.read_all();
  EXPECT_NE(all.find("info  to the pipe\n"), all.npos);
}

}  // namespace
}  // namespace headgate
