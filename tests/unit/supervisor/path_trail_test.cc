#include "supervisor/path_trail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/supervisor/temporary_directory.h"

namespace headgate {
namespace {

namespace fs = std::filesystem;
using testing::Contains;

TEST(PathTrail, NamesEachStepFromTheRootToTheFile) {
  TemporaryDirectory temporary;
  const std::string file = temporary.write("tls/tls.crt", "x");
  const auto trail = PathTrails().follow(file);
  EXPECT_EQ(trail.front().directory, "/");
  EXPECT_EQ(trail.back(), (DirectoryEntry{temporary.path() / "tls", "tls.crt"}));
  EXPECT_THAT(trail, Contains(DirectoryEntry{temporary.path(), "tls"}));
}

TEST(PathTrail, GoesThroughEverySymbolicLink) {
  TemporaryDirectory temporary;
  temporary.write("..1/tls.crt", "x");
  fs::create_symlink("..1", temporary.path() / "..data");
  fs::create_symlink("..data/tls.crt", temporary.path() / "tls.crt");
  const auto trail = PathTrails().follow(temporary.path() / "tls.crt");
  EXPECT_THAT(trail, Contains(DirectoryEntry{temporary.path(), "tls.crt"}));
  EXPECT_THAT(trail, Contains(DirectoryEntry{temporary.path(), "..data"}));
  EXPECT_EQ(trail.back(), (DirectoryEntry{temporary.path() / "..1", "tls.crt"}));
}

TEST(PathTrail, EndsWithTheEntryThatIsMissing) {
  TemporaryDirectory temporary;
  const auto trail = PathTrails().follow(temporary.path() / "later/tls.crt");
  EXPECT_EQ(trail.back(), (DirectoryEntry{temporary.path(), "later"}));
}

TEST(PathTrail, ResolvesDotsLinksToTheTopAndRelativePaths) {
  TemporaryDirectory temporary;
  temporary.write("a/file", "x");
  fs::create_symlink(temporary.path() / "a", temporary.path() / "absolute");
  const auto dots = PathTrails().follow(temporary.path() / "a/.././absolute/file");
  EXPECT_EQ(dots.back(), (DirectoryEntry{temporary.path() / "a", "file"}));
  const auto relative = PathTrails().follow("no-such-file-here");
  EXPECT_EQ(relative.back(), (DirectoryEntry{fs::current_path(), "no-such-file-here"}));
}

TEST(PathTrail, GivesUpOnLinksInACircle) {
  TemporaryDirectory temporary;
  fs::create_symlink("b", temporary.path() / "a");
  fs::create_symlink("a", temporary.path() / "b");
  EXPECT_THAT(PathTrails().follow(temporary.path() / "a"), Contains(DirectoryEntry{temporary.path(), "b"}));
}

}  // namespace
}  // namespace headgate
