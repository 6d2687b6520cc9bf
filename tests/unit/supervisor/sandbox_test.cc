#include "supervisor/sandbox.h"

#include <sched.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
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
    const bool name_spaces = unshare(CLONE_NEWUSER) != 0 && errno == EPERM;
    const bool roots = chroot("/") != 0 && errno == EPERM;
    const bool spying = ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0 && errno == EPERM;
    return packets && name_spaces && roots && spying;
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

TEST(SandboxPaths, TheOwnProgramAndItsLoaderAreFound) {
  const auto directories = own_program_directories();
  ASSERT_EQ(directories.size(), 2U);
  EXPECT_EQ(directories[0], std::filesystem::read_symlink("/proc/self/exe").parent_path());
  EXPECT_THAT(directories[1], testing::HasSubstr("lib"));
}

}  // namespace
}  // namespace headgate
