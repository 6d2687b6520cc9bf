#include "supervisor/sandbox.h"

#include <netinet/in.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "supervisor/landlock.h"
#include "unit/supervisor/child_process.h"
#include "unit/supervisor/temporary_directory.h"

namespace headgate {
namespace {

/// Runs `body` in a child that entered the sandbox, since no process leaves it. Returns true when `body`
/// returns true.
template <class Body>
bool in_sandbox(std::vector<std::string> writable, Body body) {
  const pid_t child = fork();
  if (child == 0) {
    const SandboxReport report = enter_sandbox(std::move(writable));
    _exit(report.failures.empty() && body() ? 0 : 1);
  }
  return exit_code_of(child) == 0;
}

/// The layers of a process that entered the sandbox with the same rules.
std::string told_by_child() {
  int ends[2];
  if (pipe(ends) != 0) return {};
  const pid_t child = fork();
  if (child == 0) {
    const std::string text = enter_sandbox({}).layers.text();
    _exit(write(ends[1], text.data(), text.size()) > 0 ? 0 : 1);
  }
  char text[256] = {};
  const ssize_t size = read(ends[0], text, sizeof text - 1);
  waitpid(child, nullptr, 0);
  return size > 0 ? text : "";
}

bool can_write(const std::string& file) {
  return static_cast<bool>(std::ofstream(file, std::ios::app) << "x");
}

bool can_run(const char* program) {
  const pid_t child = fork();
  if (child == 0) {
    execl(program, program, nullptr);
    _exit(99);
  }
  const int code = exit_code_of(child);
  return code >= 0 && code != 99;
}

class Sandbox : public testing::Test {
 protected:
  void SetUp() override {
    if (landlock_version() == 0) GTEST_SKIP() << "this kernel has no Landlock";
  }
  TemporaryDirectory temporary_;
};

TEST_F(Sandbox, HoldsByAllItsMeansWhereTheKernelHasThem) {
  EXPECT_TRUE(in_sandbox({}, [] { return true; }));
}

TEST_F(Sandbox, WritesOnlyWhereItMay) {
  const std::string mine = temporary_.write("mine/file", ""), other = temporary_.write("other/file", "");
  EXPECT_TRUE(in_sandbox({temporary_.path() / "mine"}, [&] {
    return can_write(mine) && can_write(temporary_.path() / "mine/new") && !can_write(other) &&
           !can_write(temporary_.path() / "other/new") && unlink(other.c_str()) != 0 &&
           can_write("/dev/null");
  }));
}

TEST_F(Sandbox, ASingleFileCanBeWritable) {
  const std::string mine = temporary_.write("keylog", ""), other = temporary_.write("other", "");
  EXPECT_TRUE(in_sandbox({mine}, [&] { return can_write(mine) && !can_write(other); }));
}

TEST_F(Sandbox, ReadsEverywhere) {
  const std::string later = temporary_.write("later.crt", "certificate");
  EXPECT_TRUE(in_sandbox({}, [&] {
    std::string word;
    std::ifstream(later) >> word;
    return word == "certificate";
  }));
}

TEST_F(Sandbox, StartsItsOwnProgramAndNoShell) {
  const std::string own = std::filesystem::read_symlink("/proc/self/exe");
  EXPECT_TRUE(in_sandbox({}, [&] {
    setenv("GTEST_FILTER", "none", 1);
    return can_run(own.c_str()) && !can_run("/bin/sh");
  }));
}

TEST_F(Sandbox, ListensConnectsAndStartsThreads) {
  EXPECT_TRUE(in_sandbox({}, [] {
    const bool sockets = socket(AF_INET6, SOCK_STREAM, 0) >= 0 && socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
    bool ran = false;
    std::thread([&] { ran = true; }).join();
    return sockets && ran;
  }));
}

TEST_F(Sandbox, RefusesWhatNoProxyNeeds) {
  EXPECT_TRUE(in_sandbox({}, [] {
    const bool packets = socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EAFNOSUPPORT;
    const bool raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) < 0 && errno == EPERM &&
                     socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6) < 0 && errno == EPERM &&
                     socket(AF_NETLINK, SOCK_RAW, 0) >= 0;
    const bool name_spaces = unshare(CLONE_NEWUSER) != 0 && errno == EPERM;
    const bool roots = chroot("/") != 0 && errno == EPERM;
    const bool spying = ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0 && errno == EPERM;
    return packets && raw && name_spaces && roots && spying;
  }));
}

TEST_F(Sandbox, FiltersTheThreadsThatRunAlready) {
  const pid_t child = fork();
  if (child == 0) {
    std::thread waiting;
    int failed = 1, gate[2];
    if (pipe(gate) != 0) _exit(1);
    waiting = std::thread([&] {
      char byte = 0;
      failed = read(gate[0], &byte, 1) == 1 && chroot("/") != 0 && errno == EPERM ? 0 : 1;
    });
    const bool entered = enter_sandbox({}).system_calls;
    if (write(gate[1], "x", 1) != 1) _exit(1);
    waiting.join();
    _exit(entered ? failed : 1);
  }
  EXPECT_EQ(exit_code_of(child), 0);
}

TEST_F(Sandbox, CanBeEnteredAgainByTheProgramThatAnUpgradeStarts) {
  EXPECT_TRUE(in_sandbox({}, [] {
    const SandboxReport again = enter_sandbox({});
    return again.no_new_privileges && again.file_system && again.system_calls;
  }));
}

int filters_of_this_process() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "Seccomp_filters:") continue;
    int count = -1;
    status >> count;
    return count;
  }
  return -1;
}

// The kernel takes 16 layers of Landlock, and each filter makes every system call slower.
TEST_F(Sandbox, AddsNothingWhereTheSameHoldsAlready) {
  EXPECT_TRUE(in_sandbox({temporary_.path() / "mine"}, [&] {
    SandboxReport report = enter_sandbox({temporary_.path() / "mine"});
    const int filters = filters_of_this_process();
    for (int i = 0; i < 30 && report.failures.empty(); ++i) {
      report = enter_sandbox({temporary_.path() / "mine"}, SandboxLayers(report.layers.text()));
    }
    return report.failures.empty() && report.file_system && report.system_calls &&
           filters_of_this_process() == filters;
  }));
}

TEST_F(Sandbox, AddsALayerWhereTheRulesAreOthers) {
  const std::string mine = temporary_.write("mine/file", ""), other = temporary_.write("other/file", "");
  EXPECT_TRUE(in_sandbox({temporary_.path()}, [&] {
    const SandboxReport first = enter_sandbox({temporary_.path()});
    const bool before = can_write(mine) && can_write(other);
    const SandboxReport second = enter_sandbox({temporary_.path() / "mine"}, first.layers);
    return before && second.failures.empty() && can_write(mine) && !can_write(other) &&
           second.layers.text().size() > first.layers.text().size();
  }));
}

TEST_F(Sandbox, SaysWhatToDoWhereTheKernelTakesNoMoreLayers) {
  EXPECT_TRUE(in_sandbox({}, [&] {
    SandboxReport report;
    for (int i = 0; i < 17 && report.failures.empty(); ++i) report = enter_sandbox({});
    return !report.failures.empty() && report.failures.front().find("restart once") != std::string::npos &&
           !can_write(temporary_.path() / "file");
  }));
}

TEST_F(Sandbox, BelievesNoLayersOfAnUnconfinedProcess) {
  const pid_t child = fork();
  if (child == 0) {
    const std::string told = told_by_child();
    const SandboxReport report = enter_sandbox({}, SandboxLayers(told));
    _exit(!told.empty() && report.file_system && !can_write(temporary_.path() / "file") ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(SandboxThreads, AreRefusedWhereOneRunsBeforeTheSandbox) {
  if (sanitizer_runs_a_thread()) GTEST_SKIP() << "a sanitizer runs a thread of its own";
  EXPECT_TRUE(check_that_no_other_thread_runs());
  std::atomic<bool> over = false;
  std::thread early([&over] { over.wait(false); });
  const auto checked = check_that_no_other_thread_runs();
  over = true;
  over.notify_all();
  early.join();
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().what, testing::HasSubstr("1 threads that run before it"));
}

TEST(SandboxLayers, AreReadAsTheyWereWritten) {
  SandboxLayers layers;
  layers.add(digest_of("one"));
  layers.add(digest_of("two"));
  layers.add("");
  const SandboxLayers read(layers.text());
  EXPECT_TRUE(read.holds(digest_of("one")));
  EXPECT_TRUE(read.holds(digest_of("two")));
  EXPECT_FALSE(read.holds(digest_of("three")));
  EXPECT_FALSE(read.holds(""));
  EXPECT_EQ(read.text(), layers.text());
  EXPECT_EQ(SandboxLayers("").text(), "");
}

TEST(SandboxPaths, TheOwnProgramAndItsLoaderAreFound) {
  const auto directories = own_program_directories();
  ASSERT_EQ(directories.size(), 2U);
  EXPECT_EQ(directories[0], std::filesystem::read_symlink("/proc/self/exe").parent_path());
  EXPECT_THAT(directories[1], testing::HasSubstr("lib"));
}

}  // namespace
}  // namespace headgate
