#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/units.h"
#include "event/io_watcher.h"
#include "event/loop.h"
#include "event/timer.h"
#include "net/fd.h"

namespace headgate {

class PathTrails;
struct DirectoryEntry;

/// Reports files that change, in whatever way they change: written in place, replaced by renaming, deleted
/// and made again, or led elsewhere by a symbolic link anywhere on their path (this is how Kubernetes
/// replaces mounted secrets).
///
/// It watches the directories on the way, never the files: 100,000 files of one directory are one inotify
/// watch. A file counts as changed once it has not changed again for `settle`, so the watch waits until a
/// file is written completely, and reports changes that come together at once. A file that is gone counts as
/// changed only when it is back, unless it is an entry of a watched directory. Where the kernel sends no
/// events (a network mount, no watches left) the slow poll finds the change.
///
/// Belongs to the loop's thread, as its callback does. Example:
///
///     FileWatch watch(loop, [&](std::vector<std::string> changed) { reload(changed); });
///     watch.watch({"/etc/headgate/headgate.yaml", "/etc/headgate/tls.crt"});
class FileWatch {
 public:
  /// Gets the paths that changed, as watch() was given them; the path of an entry is that of the directory, a
  /// slash and the name. May call watch().
  using OnChange = std::function<void(std::vector<std::string> changed)>;

  struct Pace {
    /// How long a file must not have changed.
    std::chrono::milliseconds settle{200};
    /// Settled changes are reported at the latest so long after the first sign, although other files still
    /// change.
    std::chrono::milliseconds patience{2000};
    /// How often a poll looks at a slice of the files without a sign.
    std::chrono::milliseconds poll{3000};
  };

  /// The entries of a directory whose names are `wanted`: present entries and future ones.
  struct Entries {
    std::string directory;
    bool (*wanted)(std::string_view name);
    bool operator==(const Entries&) const = default;
  };

  FileWatch(Loop& loop, OnChange on_change);
  FileWatch(Loop& loop, OnChange on_change, Pace pace);
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  /// Watches `files` and `entries` from now on and no other files. It reports any change after this call, and
  /// for a path that was watched before, any change that was not reported yet. So call it before reading the
  /// files, or read them again. A call with the same set does nothing.
  void watch(const std::vector<std::string>& files, const std::vector<Entries>& entries = {});

  /// Directories under inotify now; 0 means that all files depend on the slow poll.
  [[nodiscard]] std::size_t watched_directories() const { return directories_.size(); }

 private:
  /// A digest of the members of stat() that differ when the file does. 0: the file does not exist.
  using Identity = std::uint64_t;
  using FileIndex = std::uint32_t;
  static constexpr FileIndex kNone = UINT32_MAX;
  struct File {
    std::string path;             // of an entry, its name alone
    FileIndex directory = kNone;  // the directory of an entry
    Identity told = 0;            // as it was when last reported, or when the watch began
    Identity seen = 0;            // as it was at the last look
    TimePoint moved_at = TimePoint::min();
    bool suspect = false;
  };
  /// A directory whose entries are watched. Its own File says whether it leads to the same directory as
  /// before, and is never reported.
  struct Listing {
    bool (*wanted)(std::string_view name);
    std::unordered_map<std::string, FileIndex> entries{};
    Identity listed = 0;    // the directory, with its time, at the moment when its entries were known
    bool heard_of = false;  // events have come for entries since
  };
  /// A directory under inotify: it knows which files depend on which of its entries, and the directory of its
  /// entries.
  struct Directory {
    std::unordered_map<std::string, std::vector<FileIndex>> entries;  // each sorted
    std::vector<FileIndex> listings;
  };
  using Known = std::unordered_map<std::string, Identity>;

  [[nodiscard]] std::string path_of(const File& file) const;
  [[nodiscard]] bool is_listing(FileIndex index) const { return listings_.contains(index); }
  void begin_events();
  void begin_file(const std::string& path, const Known& told, PathTrails& trails);
  void begin_listing(const Entries& entries, const Known& told, PathTrails& trails);
  void list(FileIndex directory);
  FileIndex entry(FileIndex directory, const std::string& name);
  void forget_entry(FileIndex index);
  void follow(FileIndex index, PathTrails& trails);
  Directory* watched(const std::string& path);
  void depend(FileIndex index, const DirectoryEntry& on);
  void read_events();
  void handle_event(int watch_number, const char* name, std::uint32_t mask);
  void hear_of_entry(FileIndex directory, const char* name);
  void suspect(FileIndex index);
  void suspect(const std::vector<FileIndex>& files);
  void suspect_all();
  void look();
  void look_at_listing(FileIndex index);
  [[nodiscard]] Identity look_at(FileIndex index) const;
  void tell(const std::vector<FileIndex>& settled);
  [[nodiscard]] bool is_to_be_told(FileIndex index) const;
  void poll();

  OnChange on_change_;
  Pace pace_;
  Loop& loop_;
  std::vector<std::string> watched_files_;
  std::vector<Entries> watched_entries_;
  std::vector<File> files_;
  std::vector<FileIndex> free_;            // places in files_ without a file
  std::map<FileIndex, Listing> listings_;  // by the directory's place in files_
  std::vector<FileIndex> suspects_;
  TimePoint first_sign_{};  // of the changes that are suspected now
  TimePoint looked_at_{};
  FileIndex poll_next_ = 0;
  std::unordered_map<int, Directory> directories_;      // by inotify's watch number
  std::unordered_map<std::string, int> watch_numbers_;  // by path, as long as one set of trails lives
  Fd inotify_;
  std::unique_ptr<IoWatcher> readable_;
  Timer look_timer_;
  Timer poll_timer_;
};

}  // namespace headgate
