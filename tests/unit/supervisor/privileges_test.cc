#include "supervisor/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include <gtest/gtest.h>

#include "unit/supervisor/child_process.h"

namespace headgate {
namespace {

/// Runs `body` in a child, since dropped privileges do not come back. Returns true when `body` returns true.
template <class Body>
bool in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  return exit_code_of(child) == 0;
}

std::string number_of_a_group_that_is_no_user() {
  std::string number;
  setgrent();
  for (const group* one = getgrent(); one != nullptr && number.empty(); one = getgrent()) {
    if (getpwuid(one->gr_gid) == nullptr) number = std::to_string(one->gr_gid);
  }
  endgrent();
  return number;
}

/// Makes a permitted capability effective: the change of the user made none of them so.
bool take_effective_capability(unsigned capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  data[capability / 32].effective |= 1U << (capability % 32);
  return syscall(SYS_capset, &header, data) == 0;
}

TEST(Privileges, NothingIsDroppedWhenNothingIsAsked) {
  EXPECT_TRUE(drop_privileges("", ""));
}

TEST(Privileges, NamesAUserThatDoesNotExist) {
  const auto dropped = drop_privileges("no-such-user-here", "");
  ASSERT_FALSE(dropped);
  EXPECT_EQ(dropped.error().kind, ErrorKind::kNotFound);
  EXPECT_NE(dropped.error().what.find("no-such-user-here"), std::string::npos);
}

TEST(Privileges, NamesAGroupThatDoesNotExist) {
  const auto dropped = drop_privileges("", "no-such-group-here");
  ASSERT_FALSE(dropped);
  EXPECT_EQ(dropped.error().kind, ErrorKind::kNotFound);
}

TEST(Privileges, RootBecomesTheUserForGood) {
  if (geteuid() != 0) GTEST_SKIP() << "only root may become somebody else";
  EXPECT_TRUE(in_child([] {
    if (!drop_privileges("nobody", "")) return false;
    const passwd* nobody = getpwnam("nobody");
    return geteuid() == nobody->pw_uid && getegid() == nobody->pw_gid && setuid(0) != 0;
  }));
}

TEST(Privileges, ANumberNeedsNoEntry) {
  if (geteuid() != 0) GTEST_SKIP() << "only root may become somebody else";
  EXPECT_TRUE(in_child([] {
    return drop_privileges("54321", "54322") && geteuid() == 54321 && getegid() == 54322 &&
           getgroups(0, nullptr) == 0;
  }));
}

// The group of the start stayed: root's.
TEST(Privileges, ANumberWithoutAnEntryGetsTheGroupOfTheSameNumber) {
  if (geteuid() != 0) GTEST_SKIP() << "only root may become somebody else";
  EXPECT_TRUE(in_child([] {
    const gid_t held[] = {0, 4};
    if (setgroups(2, held) != 0 || !drop_privileges("54321", "")) return false;
    gid_t real = 0, effective = 0, saved = 0;
    getresgid(&real, &effective, &saved);
    return geteuid() == 54321 && real == 54321 && effective == 54321 && saved == 54321 &&
           getgroups(0, nullptr) == 0;
  }));
}

TEST(Privileges, ANumberWithoutAnEntryNeedsAGroupWhereThatNumberIsAGroupOfOthers) {
  const auto number = number_of_a_group_that_is_no_user();
  if (number.empty()) GTEST_SKIP() << "every group here has a user of the same number";
  const auto dropped = drop_privileges(number, "");
  ASSERT_FALSE(dropped);
  EXPECT_EQ(dropped.error().kind, ErrorKind::kNotFound);
  EXPECT_NE(dropped.error().what.find("set `group` too"), std::string::npos);
}

// setresgid() takes this number for "no change", so root's group stayed.
TEST(Privileges, TheNumberThatChangesNothingIsNoUserAndNoGroup) {
  EXPECT_FALSE(drop_privileges("4294967295", ""));
  EXPECT_FALSE(drop_privileges("", "4294967295"));
}

TEST(Privileges, AUserThatCouldBecomeRootAgainIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "only root may become somebody else";
  if (sanitizer_runs_a_thread()) GTEST_SKIP() << "the thread of a sanitizer has other capabilities";
  EXPECT_TRUE(in_child([] {
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setresgid(54322, 54322, 54322) != 0 ||
        setresuid(54321, 54321, 54321) != 0 || !take_effective_capability(CAP_SETUID))
      return false;
    const auto dropped = drop_privileges("54321", "54322");
    return !dropped && dropped.error().what.find("could be regained") != std::string::npos;
  }));
}

TEST(Privileges, BecomingWhoOneIsNeedsNoRights) {
  if (geteuid() != 0) GTEST_SKIP() << "only root may become somebody else";
  EXPECT_TRUE(in_child([] { return drop_privileges("nobody", "") && drop_privileges("nobody", ""); }));
}

TEST(Privileges, SaysWhatToDoWhenItMayNotChange) {
  if (geteuid() != 0) GTEST_SKIP() << "only root may become somebody else";
  EXPECT_TRUE(in_child([] {
    if (!drop_privileges("nobody", "")) return false;
    const auto again = drop_privileges("54321", "");
    return !again && again.error().kind == ErrorKind::kRefused &&
           again.error().what.find("start it as root") != std::string::npos;
  }));
}

}  // namespace
}  // namespace headgate
