#include "log/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

namespace headgate {
namespace {

namespace fs = std::filesystem;

/// A descriptor that appends to a file in a directory of its own.
struct LogFileTest : ::testing::Test {
  LogFileTest() {
    std::string name = (fs::temp_directory_path() / "log-file-XXXXXX").string();
    directory = ::mkdtemp(name.data());
    path = directory / "log";
    fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT, 0640);
  }
  ~LogFileTest() override {
    ::close(fd);
    fs::permissions(directory, fs::perms::owner_all);
    fs::remove_all(directory);
  }
  void write(const std::string& text) const {
    EXPECT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  static std::string content(const fs::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  fs::path directory, path;
  int fd = -1;
};

TEST_F(LogFileTest, GoesOnInTheFileThatWasPutInItsPlace) {
  const LogFile file(fd);
  EXPECT_EQ(file.path(), path);
  write("old\n");
  fs::rename(path, directory / "log.1");
  std::ofstream(path) << "made by the rotation\n";
  ASSERT_TRUE(file.reopen().has_value());
  write("new\n");
  EXPECT_EQ(content(directory / "log.1"), "old\n");
  EXPECT_EQ(content(path), "made by the rotation\nnew\n");
}

TEST_F(LogFileTest, MakesTheFileWithTheModeOfTheOldOneWhenItIsGone) {
  const LogFile file(fd);
  ASSERT_EQ(::fchmod(fd, 0600), 0);
  fs::remove(path);
  ASSERT_TRUE(file.reopen().has_value());
  write("new\n");
  EXPECT_EQ(content(path), "new\n");
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(LogFileTest, LeavesTheDescriptorWhereTheFileIsTheSame) {
  const LogFile file(fd);
  ASSERT_TRUE(file.reopen().has_value());
  write("same\n");
  EXPECT_EQ(content(path), "same\n");
}

TEST_F(LogFileTest, SaysWhyAndGoesOnInTheOldFileWhenItCannotBeOpened) {
  const LogFile file(fd);
  fs::rename(path, directory / "log.1");
  fs::create_directory(path);
  const auto reopened = file.reopen();
  ASSERT_FALSE(reopened.has_value());
  EXPECT_NE(reopened.error().what.find(path.string()), std::string::npos) << reopened.error().what;
  write("still here\n");
  EXPECT_EQ(content(directory / "log.1"), "still here\n");
}

TEST_F(LogFileTest, HasNothingToOpenWhereItIsNoFileOrHasNoName) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  EXPECT_EQ(LogFile(ends[1]).path(), "");
  EXPECT_TRUE(LogFile(ends[1]).reopen().has_value());
  ::close(ends[0]);
  ::close(ends[1]);
  fs::remove(path);
  EXPECT_EQ(LogFile(fd).path(), "");
  EXPECT_EQ(LogFile(-1).path(), "");
}

}  // namespace
}  // namespace headgate
