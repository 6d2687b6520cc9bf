#include "supervisor/file_watch.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "supervisor/path_trail.h"

namespace headgate {
namespace {

constexpr std::uint32_t kSigns = IN_CREATE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                 IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

/// Looks within one settle time: the more, the sooner a file at rest is found to be so.
constexpr int kLooksPerSettle = 4;

/// Files that one poll looks at: stat() takes about a microsecond where the answer is cached, and a slow
/// mount must not hold up the supervisor. More files than that take several polls.
constexpr std::size_t kPollSlice = 2000;

std::int64_t nanoseconds(const timespec& time) {
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

FileWatch::FileWatch(Loop& loop, OnChange on_change) : FileWatch(loop, std::move(on_change), Pace{}) {}

FileWatch::FileWatch(Loop& loop, OnChange on_change, Pace pace)
    : on_change_(std::move(on_change)),
      pace_(pace),
      loop_(loop),
      look_timer_(loop, this, [](void* self) { static_cast<FileWatch*>(self)->look(); }),
      poll_timer_(loop, this, [](void* self) { static_cast<FileWatch*>(self)->poll(); }) {}

void FileWatch::watch(const std::vector<std::string>& paths) {
  std::unordered_map<std::string, Identity> told;
  for (File& file : files_) told.emplace(std::move(file.path), file.told);
  files_.clear();
  suspects_.clear();
  begin_events();
  PathTrails trails;
  for (const std::string& path : paths) {
    const auto before = told.find(path);
    // The trail first: a change after the watch is there is an event, one before is seen in the identity.
    files_.push_back({.path = path});
    follow(static_cast<FileIndex>(files_.size() - 1), trails);
    File& file = files_.back();
    file.seen = identity(path);
    file.told = before == told.end() ? file.seen : before->second;
    if (file.seen != file.told) suspect(static_cast<FileIndex>(files_.size() - 1));
  }
  poll_next_ = 0;
  poll_timer_.set(Clock::now() + pace_.poll);
}

/// A new inotify instance: what the old set needed and this one does not goes with the old one.
void FileWatch::begin_events() {
  readable_.reset();
  directories_.clear();
  inotify_ = Fd(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify_) return;  // out of instances: the poll has to do
  readable_ = std::make_unique<IoWatcher>(
      loop_, this, [](void* self, Interest) { static_cast<FileWatch*>(self)->read_events(); });
  readable_->attach(inotify_.number());
  readable_->watch(Interest::kRead);
}

/// Watches every directory on the way to a file. Asking for one that is watched already answers the same
/// number.
void FileWatch::follow(FileIndex index, PathTrails& trails) {
  const auto depend = [index](std::vector<FileIndex>& sorted) {
    const auto place = std::lower_bound(sorted.begin(), sorted.end(), index);
    if (place == sorted.end() || *place != index) sorted.insert(place, index);
  };
  for (const DirectoryEntry& entry : trails.follow(files_[index].path)) {
    if (Directory* directory = watched(entry.directory)) depend(directory->entries[entry.name]);
  }
  struct stat found{};
  const std::string& path = files_[index].path;
  if (stat(path.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) return;
  if (Directory* directory = watched(path)) depend(directory->any_entry);
}

FileWatch::Directory* FileWatch::watched(const std::string& path) {
  if (!inotify_) return nullptr;
  const int number = inotify_add_watch(inotify_.number(), path.c_str(), kSigns);
  return number < 0 ? nullptr : &directories_[number];
}

void FileWatch::read_events() {
  alignas(inotify_event) std::array<char, 16 * 1024> buffer;
  const ssize_t size = ::read(inotify_.number(), buffer.data(), buffer.size());
  for (ssize_t at = 0; at < size;) {
    const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
    handle_event(event->wd, event->len > 0 ? event->name : "", event->mask);
    at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
  }
}

void FileWatch::handle_event(int watch_number, const char* name, std::uint32_t mask) {
  if ((mask & IN_Q_OVERFLOW) != 0) return suspect_all();  // signs were lost
  const auto found = directories_.find(watch_number);
  if (found == directories_.end()) return;
  Directory& directory = found->second;
  if ((mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF)) != 0) {
    for (const auto& [entry, files] : directory.entries) suspect(files);
  }
  suspect(directory.any_entry);
  if (const auto entry = directory.entries.find(name); entry != directory.entries.end())
    suspect(entry->second);
  if ((mask & IN_IGNORED) != 0) directories_.erase(found);  // the directory is gone, and its number with it
}

void FileWatch::suspect(FileIndex index) {
  File& file = files_[index];
  const TimePoint now = Clock::now();
  file.moved_at = now;
  file.seen = identity(file.path);  // so that the next look does not take it for a later change
  if (file.suspect) return;
  file.suspect = true;
  if (suspects_.empty()) {
    first_sign_ = now;
    look_timer_.set(now + pace_.settle / kLooksPerSettle);
  }
  suspects_.push_back(index);
}

void FileWatch::suspect(const std::vector<FileIndex>& files) {
  for (const FileIndex index : files) suspect(index);
}

void FileWatch::suspect_all() {
  for (FileIndex index = 0; index < files_.size(); ++index) suspect(index);
}

void FileWatch::look() {
  const TimePoint now = Clock::now();
  PathTrails trails;
  std::vector<FileIndex> moving, settled;
  for (const FileIndex index : suspects_) {
    File& file = files_[index];
    // The way to a file may have changed with it: new directories are watched before the file is looked at.
    if (file.moved_at >= looked_at_) follow(index, trails);
    const Identity current = identity(file.path);
    if (current != std::exchange(file.seen, current)) file.moved_at = now;
    (now - file.moved_at >= pace_.settle ? settled : moving).push_back(index);
  }
  looked_at_ = now;
  if (!moving.empty()) look_timer_.set(now + pace_.settle / kLooksPerSettle);
  if (!moving.empty() && now - first_sign_ < pace_.patience) return;
  suspects_ = std::move(moving);
  first_sign_ = now;
  tell(settled);
}

void FileWatch::tell(const std::vector<FileIndex>& settled) {
  std::vector<std::string> changed;
  for (const FileIndex index : settled) {
    File& file = files_[index];
    file.suspect = false;
    if (file.seen == file.told || file.seen == Identity{}) continue;
    file.told = file.seen;
    changed.push_back(file.path);
  }
  if (!changed.empty()) on_change_(std::move(changed));
}

void FileWatch::poll() {
  const std::size_t slice = std::min(files_.size(), kPollSlice);
  for (std::size_t i = 0; i < slice; ++i) {
    poll_next_ = (poll_next_ + 1) % static_cast<FileIndex>(files_.size());
    const File& file = files_[poll_next_];
    if (!file.suspect && identity(file.path) != file.seen) suspect(poll_next_);
  }
  poll_timer_.set(Clock::now() + pace_.poll);
}

FileWatch::Identity FileWatch::identity(const std::string& path) {
  struct stat found{};
  if (stat(path.c_str(), &found) != 0) return {};
  return {.device = found.st_dev,
          .inode = found.st_ino,
          .size_bytes = found.st_size,
          .modified_ns = nanoseconds(found.st_mtim),
          .changed_ns = nanoseconds(found.st_ctim)};
}

}  // namespace headgate
