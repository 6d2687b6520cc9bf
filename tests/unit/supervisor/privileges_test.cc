#include "supervisor/privileges.h"

#include <pwd.h>
#include <unistd.h>

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
