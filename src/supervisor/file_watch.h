#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/units.h"
#include "event/io_watcher.h"
#include "event/loop.h"
#include "event/timer.h"
#include "net/fd.h"

namespace headgate {

class PathTrails;

/// Says when files change, however they are changed: written in place, replaced by renaming, deleted and made
/// again, or led elsewhere by a symbolic link anywhere on their path (which is how Kubernetes replaces
/// mounted secrets).
///
/// Watches the directories on the way, never the files: 100,000 files of one directory are one inotify watch.
/// A file counts as changed once it has been as it is now for `settle`, so one that is being written is
/// waited out, and changes that come together are told together. A file that is gone is no change until it is
/// back. A path may be a directory: it changes when an entry comes, goes or is replaced. Where the kernel
/// tells nothing (a network mount, no watches left) the slow poll finds the change.
///
/// Belongs to the loop's thread, with its callback. Example:
///
///     FileWatch watch(loop, [&](std::vector<std::string> changed) { reload(changed); });
///     watch.watch({"/etc/headgate/headgate.yaml", "/etc/headgate/tls.crt"});
class FileWatch {
 public:
  /// Gets the paths that changed, as they were given to watch(). May call watch().
  using OnChange = std::function<void(std::vector<std::string> changed)>;

  struct Pace {
    /// How long a file must have been at rest.
    std::chrono::milliseconds settle{200};
    /// What has settled is told at the latest so long after the first sign, although other files still move.
    std::chrono::milliseconds patience{2000};
    /// How often a slice of the files is looked at without a sign.
    std::chrono::milliseconds poll{3000};
  };

  FileWatch(Loop& loop, OnChange on_change);
  FileWatch(Loop& loop, OnChange on_change, Pace pace);
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  /// Watches `paths` from now on and nothing else. What is told about is any change after this call, and for
  /// a path watched before, any change that was not told yet. So call it before reading the files, or read
  /// them again.
  void watch(const std::vector<std::string>& paths);

  /// Directories under inotify just now; 0 means that all depends on the slow poll.
  [[nodiscard]] std::size_t watched_directories() const { return directories_.size(); }

 private:
  /// What stat() says of a file, in so far as it differs when the file does. All zero: not there.
  struct Identity {
    std::uint64_t device = 0, inode = 0;
    std::int64_t size_bytes = 0, modified_ns = 0, changed_ns = 0;
    bool operator==(const Identity&) const = default;
  };
  struct File {
    std::string path;
    Identity told{};  // as it was when last told, or when the watch began
    Identity seen{};  // as it was at the last look
    TimePoint moved_at = TimePoint::min();
    bool suspect = false;
  };
  using FileIndex = std::uint32_t;
  /// A directory under inotify: which files depend on which of its entries, and on any of them.
  struct Directory {
    std::unordered_map<std::string, std::vector<FileIndex>> entries;  // each sorted
    std::vector<FileIndex> any_entry;
  };

  static Identity identity(const std::string& path);
  void begin_events();
  void follow(FileIndex index, PathTrails& trails);
  Directory* watched(const std::string& path);
  void read_events();
  void handle_event(int watch_number, const char* name, std::uint32_t mask);
  void suspect(FileIndex index);
  void suspect(const std::vector<FileIndex>& files);
  void suspect_all();
  void look();
  void tell(const std::vector<FileIndex>& settled);
  void poll();

  OnChange on_change_;
  Pace pace_;
  Loop& loop_;
  std::vector<File> files_;
  std::vector<FileIndex> suspects_;
  TimePoint first_sign_{};  // of what is suspected now
  TimePoint looked_at_{};
  FileIndex poll_next_ = 0;
  std::unordered_map<int, Directory> directories_;  // by inotify's watch number
  Fd inotify_;
  std::unique_ptr<IoWatcher> readable_;
  Timer look_timer_;
  Timer poll_timer_;
};

}  // namespace headgate
