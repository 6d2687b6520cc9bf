#include "supervisor/file_watch.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/supervisor/temporary_directory.h"

namespace headgate {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using Paths = std::vector<std::string>;

constexpr FileWatch::Pace kEventsOnly{
    .settle = milliseconds(40), .patience = milliseconds(400), .poll = std::chrono::hours(1)};

/// While it lives, the process can open no further descriptor.
class OutOfDescriptors {
 public:
  OutOfDescriptors() {
    getrlimit(RLIMIT_NOFILE, &limit_);
    const rlimit none{0, limit_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
  }
  OutOfDescriptors(const OutOfDescriptors&) = delete;
  OutOfDescriptors& operator=(const OutOfDescriptors&) = delete;
  ~OutOfDescriptors() { setrlimit(RLIMIT_NOFILE, &limit_); }

 private:
  rlimit limit_{};
};

class FileWatchTest : public testing::Test {
 protected:
  /// The paths that are reported next; empty when none is reported within `patience`.
  Paths next_change(milliseconds patience = std::chrono::seconds(10)) {
    told_.clear();
    deadline_.set(Clock::now() + patience);
    loop_.run();
    deadline_.stop();
    return told_;
  }
  /// Waits for some settle times; returns the paths that are reported meanwhile. For changes that must not be
  /// reported.
  Paths change_soon() { return next_change(kEventsOnly.settle * 5); }

  FileWatch::OnChange stop_and_keep() {
    return [this](Paths changed) {
      told_ = std::move(changed);
      loop_.stop();
    };
  }

  TemporaryDirectory temporary_;
  Loop loop_;
  Paths told_;
  Timer deadline_{loop_, this,
                  Timer::Calls<[](void* self) { static_cast<FileWatchTest*>(self)->loop_.stop(); }>()};
  FileWatch watch_{loop_, stop_and_keep(), kEventsOnly};
};

TEST_F(FileWatchTest, TellsOfAFileRewrittenInPlace) {
  const auto file = temporary_.write("tls.crt", "one");
  watch_.watch({file});
  temporary_.write("tls.crt", "two and more");
  EXPECT_THAT(next_change(), ElementsAre(file));
}

TEST_F(FileWatchTest, TellsOfAFileReplacedByRenaming) {
  const auto file = temporary_.write("tls.crt", "one");
  watch_.watch({file});
  fs::rename(temporary_.write("tls.crt.new", "two"), file);
  EXPECT_THAT(next_change(), ElementsAre(file));
}

TEST_F(FileWatchTest, TellsOfALinkSwappedAsKubernetesDoes) {
  temporary_.write("..1/tls.crt", "one");
  temporary_.write("..1/tls.key", "one");
  fs::create_symlink("..1", temporary_.path() / "..data");
  const std::string certificate = temporary_.path() / "tls.crt", key = temporary_.path() / "tls.key";
  fs::create_symlink("..data/tls.crt", certificate);
  fs::create_symlink("..data/tls.key", key);
  watch_.watch({certificate, key});
  for (const char* version : {"..2", "..3"}) {
    temporary_.write(std::string(version) + "/tls.crt", version);
    temporary_.write(std::string(version) + "/tls.key", version);
    fs::create_symlink(version, temporary_.path() / "..data_tmp");
    fs::rename(temporary_.path() / "..data_tmp", temporary_.path() / "..data");
    EXPECT_THAT(next_change(), UnorderedElementsAre(certificate, key));
  }
}

TEST_F(FileWatchTest, TellsOfADirectoryOnTheWayLedElsewhere) {
  temporary_.write("v1/tls.crt", "one");
  temporary_.write("v2/tls.crt", "two");
  fs::create_directory_symlink("v1", temporary_.path() / "current");
  const std::string file = temporary_.path() / "current/tls.crt";
  watch_.watch({file});
  fs::create_directory_symlink("v2", temporary_.path() / "next");
  fs::rename(temporary_.path() / "next", temporary_.path() / "current");
  EXPECT_THAT(next_change(), ElementsAre(file));
}

TEST_F(FileWatchTest, WaitsForADirectoryThatDoesNotExistYet) {
  const std::string file = temporary_.path() / "later/deeper/tls.crt";
  watch_.watch({file});
  temporary_.write("later/deeper/tls.crt", "one");
  EXPECT_THAT(next_change(), ElementsAre(file));
  temporary_.write("later/deeper/tls.crt", "two and more");
  EXPECT_THAT(next_change(), ElementsAre(file));
}

TEST_F(FileWatchTest, TellsOfADeletedFileOnlyWhenItIsBack) {
  const auto file = temporary_.write("tls.crt", "one");
  watch_.watch({file});
  fs::remove(file);
  EXPECT_THAT(change_soon(), IsEmpty());
  temporary_.write("tls.crt", "two");
  EXPECT_THAT(next_change(), ElementsAre(file));
}

TEST_F(FileWatchTest, TellsOfADeletedDirectoryWhenItIsBack) {
  const auto file = temporary_.write("tls/tls.crt", "one");
  watch_.watch({file});
  fs::remove_all(temporary_.path() / "tls");
  EXPECT_THAT(change_soon(), IsEmpty());
  temporary_.write("tls/tls.crt", "two");
  EXPECT_THAT(next_change(), ElementsAre(file));
}

TEST_F(FileWatchTest, TellsChangesThatComeTogetherInOneCall) {
  const auto certificate = temporary_.write("tls.crt", "one"), key = temporary_.write("tls.key", "one");
  watch_.watch({certificate, key});
  temporary_.write("tls.crt", "two and more");
  temporary_.write("tls.key", "two and more");
  EXPECT_THAT(next_change(), UnorderedElementsAre(certificate, key));
  EXPECT_THAT(change_soon(), IsEmpty());
}

/// Writes a little to a file every few milliseconds, as a slow writer does.
class SlowWriter {
 public:
  SlowWriter(Loop& loop, const std::string& file, int writes)
      : file_(file, std::ios::app),
        left_(writes),
        timer_(loop, this, Timer::Calls<[](void* self) { static_cast<SlowWriter*>(self)->write(); }>()) {
    write();
  }
  [[nodiscard]] int left() const { return left_; }

 private:
  void write() {
    file_ << "more" << std::flush;
    if (--left_ > 0) timer_.set(Clock::now() + milliseconds(5));
  }
  std::ofstream file_;
  int left_;
  Timer timer_;
};

TEST_F(FileWatchTest, WaitsOutAFileThatIsBeingWritten) {
  const auto file = temporary_.write("tls.crt", "one");
  watch_.watch({file});
  SlowWriter writer(loop_, file, 20);
  EXPECT_THAT(next_change(), ElementsAre(file));
  EXPECT_EQ(writer.left(), 0);
}

TEST_F(FileWatchTest, AFileThatNeverRestsHoldsUpTheOthersForABoundedTime) {
  const auto restless = temporary_.write("restless", "one"), file = temporary_.write("tls.crt", "one");
  watch_.watch({restless, file});
  SlowWriter writer(loop_, restless, 1'000'000);
  temporary_.write("tls.crt", "two and more");
  EXPECT_THAT(next_change(), ElementsAre(file));
}

TEST_F(FileWatchTest, IgnoresOtherFilesOfTheDirectory) {
  const auto file = temporary_.write("tls.crt", "one");
  watch_.watch({file});
  temporary_.write("access.log", "line");
  EXPECT_THAT(change_soon(), IsEmpty());
}

/// A directory whose files "*.pem" are watched.
class WatchingEntries : public FileWatchTest {
 protected:
  std::string path(const std::string& name) const { return temporary_.path() / "certificates" / name; }
  std::string write(const std::string& name, const std::string& text) {
    return temporary_.write("certificates/" + name, text);
  }
  void begin(FileWatch& watch) const {
    watch.watch({}, {{temporary_.path() / "certificates",
                      [](std::string_view name) { return name.ends_with(".pem"); }}});
  }
};

TEST_F(WatchingEntries, TellsOfTheOneThatChangesComesOrGoes) {
  const auto first = write("a.pem", "a"), other = write("b.pem", "b");
  begin(watch_);
  write("a.pem", "changed");
  EXPECT_THAT(next_change(), ElementsAre(first));
  fs::rename(write("new", "renamed"), other);
  EXPECT_THAT(next_change(), ElementsAre(other));
  write("c.pem", "c");
  EXPECT_THAT(next_change(), ElementsAre(path("c.pem")));
  fs::remove(first);
  EXPECT_THAT(next_change(), ElementsAre(first));
  write("a.pem", "again");
  EXPECT_THAT(next_change(), ElementsAre(first));
}

TEST_F(WatchingEntries, IgnoresOtherNamesAndWhatIsGoneBeforeItRests) {
  write("a.pem", "a");
  begin(watch_);
  write("readme.txt", "x");
  fs::remove(write("short-lived.pem", "x"));
  EXPECT_THAT(change_soon(), IsEmpty());
}

TEST_F(WatchingEntries, TellsOfLinksSwappedAsKubernetesDoes) {
  write("..1/a.pem", "a");
  fs::create_symlink("..1", path("..data"));
  fs::create_symlink("..data/a.pem", path("a.pem"));
  begin(watch_);
  for (const std::string version : {"..2", "..3"}) {
    write(version + "/a.pem", version);
    fs::create_symlink(version, path("..data_tmp"));
    fs::rename(path("..data_tmp"), path("..data"));
    EXPECT_THAT(next_change(), ElementsAre(path("a.pem")));
  }
}

TEST_F(WatchingEntries, TellsWhatDiffersWhenTheDirectoryIsLedElsewhere) {
  temporary_.write("v1/a.pem", "a");
  temporary_.write("v1/b.pem", "b");
  temporary_.write("v2/a.pem", "another");
  temporary_.write("v2/c.pem", "c");
  fs::create_directory_symlink("v1", temporary_.path() / "certificates");
  begin(watch_);
  fs::create_directory_symlink("v2", temporary_.path() / "next");
  fs::rename(temporary_.path() / "next", temporary_.path() / "certificates");
  EXPECT_THAT(next_change(), UnorderedElementsAre(path("a.pem"), path("b.pem"), path("c.pem")));
  temporary_.write("v2/c.pem", "changed");
  EXPECT_THAT(next_change(), ElementsAre(path("c.pem")));
}

TEST_F(WatchingEntries, ADirectoryThatIsGoneTellsNothingUntilItIsBack) {
  write("a.pem", "a");
  write("b.pem", "b");
  begin(watch_);
  fs::remove_all(temporary_.path() / "certificates");
  EXPECT_THAT(change_soon(), IsEmpty());
  write("a.pem", "again");
  Paths told = next_change();
  if (told.size() < 2) {
    const Paths rest = next_change();
    told.insert(told.end(), rest.begin(), rest.end());
  }
  EXPECT_THAT(told, UnorderedElementsAre(path("a.pem"), path("b.pem")));
}

TEST_F(WatchingEntries, AreFoundByPollingWhereTheKernelTellsNothing) {
  write("a.pem", "a");
  write("b.pem", "b");
  FileWatch::Pace polling = kEventsOnly;
  polling.poll = milliseconds(10);
  FileWatch watch(loop_, stop_and_keep(), polling);
  {
    const OutOfDescriptors none;  // no inotify instance; the directory is looked through later, too
    begin(watch);
  }
  EXPECT_EQ(watch.watched_directories(), 0U);
  EXPECT_THAT(next_change(), UnorderedElementsAre(path("a.pem"), path("b.pem")));
  write("c.pem", "c");
  EXPECT_THAT(next_change(), ElementsAre(path("c.pem")));
  fs::remove(path("b.pem"));
  EXPECT_THAT(next_change(), ElementsAre(path("b.pem")));
}

TEST_F(WatchingEntries, ManyNeedOneWatchAndAreNotFollowedAgain) {
  for (int i = 0; i < 2000; ++i) write(std::to_string(i) + ".pem", "x");
  begin(watch_);
  const std::size_t watches = watch_.watched_directories();
  begin(watch_);
  write("1234.pem", "changed");
  EXPECT_THAT(next_change(), ElementsAre(path("1234.pem")));
  EXPECT_EQ(watch_.watched_directories(), watches);
}

TEST_F(FileWatchTest, ANewSetReplacesTheOld) {
  const auto old = temporary_.write("old.crt", "one"), current = temporary_.write("new.crt", "one");
  watch_.watch({old});
  watch_.watch({current});
  temporary_.write("old.crt", "two and more");
  EXPECT_THAT(change_soon(), IsEmpty());
  temporary_.write("new.crt", "two and more");
  EXPECT_THAT(next_change(), ElementsAre(current));
}

TEST_F(FileWatchTest, AChangeNotToldYetIsToldAfterTheSetIsReplaced) {
  const auto file = temporary_.write("tls.crt", "one");
  watch_.watch({file});
  temporary_.write("tls.crt", "two and more");
  watch_.watch({file, temporary_.write("other.crt", "one")});
  EXPECT_THAT(next_change(), ElementsAre(file));
}

TEST_F(FileWatchTest, FindsAChangeByPollingWhereTheKernelTellsNothing) {
  const auto file = temporary_.write("tls.crt", "one");
  FileWatch::Pace polling = kEventsOnly;
  polling.poll = milliseconds(10);
  FileWatch watch(loop_, stop_and_keep(), polling);
  {
    const OutOfDescriptors none;  // so that no inotify instance can be had
    watch.watch({file});
  }
  EXPECT_EQ(watch.watched_directories(), 0U);
  temporary_.write("tls.crt", "two and more");
  EXPECT_THAT(next_change(), ElementsAre(file));
}

TEST_F(FileWatchTest, ManyFilesOfADirectoryAreOneWatch) {
  Paths files;
  for (int i = 0; i < 2000; ++i) files.push_back(temporary_.write("many/" + std::to_string(i), "x"));
  watch_.watch({files.front()});
  const std::size_t for_one = watch_.watched_directories();
  watch_.watch(files);
  EXPECT_EQ(watch_.watched_directories(), for_one);
  temporary_.write("many/1234", "changed");
  EXPECT_THAT(next_change(), ElementsAre(files[1234]));
}

TEST_F(FileWatchTest, SignsLostToAnOverflowAreMadeUpFor) {
  const auto file = temporary_.write("tls.crt", "one");
  watch_.watch({file});
  std::ifstream limit("/proc/sys/fs/inotify/max_queued_events");
  int queue = 0;
  limit >> queue;
  ASSERT_GT(queue, 0);
  // The two files alternate, since the kernel joins equal events; the change to tls.crt is the one for which
  // the queue has no room.
  const std::string noise[] = {temporary_.write("noise-a", "x"), temporary_.write("noise-b", "x")};
  for (int i = 0; i < queue; ++i) chmod(noise[i % 2].c_str(), 0600);
  temporary_.write("tls.crt", "two and more");
  EXPECT_THAT(next_change(), ElementsAre(file));
}

}  // namespace
}  // namespace headgate
