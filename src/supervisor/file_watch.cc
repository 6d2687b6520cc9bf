#include "supervisor/file_watch.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/mix.h"
#include "supervisor/path_trail.h"

namespace headgate {
namespace {

constexpr std::uint32_t kSigns = IN_CREATE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                 IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

/// The number of looks within one settle time: more looks find sooner that a file has settled.
constexpr int kLooksPerSettle = 4;

/// The number of files that one poll looks at: stat() takes about a microsecond where the answer is cached,
/// and a slow mount must not hold up the supervisor. More files than that take several polls.
constexpr std::size_t kPollSlice = 2000;

std::uint64_t nanoseconds(const timespec& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

std::uint64_t mixed(std::uint64_t digest, std::uint64_t value) {
  return mix(digest + value + 0x9e3779b97f4a7c15);
}

std::uint64_t same_file(const struct stat& found) {
  return mixed(mixed(0, found.st_dev), found.st_ino) | 1U;
}

/// Differs also when the contents of the file differ.
std::uint64_t same_contents(const struct stat& found) {
  const std::uint64_t size = mixed(same_file(found), static_cast<std::uint64_t>(found.st_size));
  return mixed(mixed(size, nanoseconds(found.st_mtim)), nanoseconds(found.st_ctim)) | 1U;
}

using Digest = std::uint64_t (*)(const struct stat&);

/// 0: the file does not exist.
std::uint64_t identity(const std::string& path, Digest digest) {
  struct stat found{};
  return stat(path.c_str(), &found) == 0 ? digest(found) : 0;
}

bool is_link(const std::string& path) {
  struct stat found{};
  return lstat(path.c_str(), &found) == 0 && S_ISLNK(found.st_mode);
}

}  // namespace

FileWatch::FileWatch(Loop& loop, OnChange on_change) : FileWatch(loop, std::move(on_change), Pace{}) {}

FileWatch::FileWatch(Loop& loop, OnChange on_change, Pace pace)
    : on_change_(std::move(on_change)),
      pace_(pace),
      loop_(loop),
      look_timer_(loop, this, Timer::Calls<[](void* self) { static_cast<FileWatch*>(self)->look(); }>()),
      poll_timer_(loop, this, Timer::Calls<[](void* self) { static_cast<FileWatch*>(self)->poll(); }>()) {}

void FileWatch::watch(const std::vector<std::string>& files, const std::vector<Entries>& entries) {
  if (readable_ != nullptr && files == watched_files_ && entries == watched_entries_) return;
  Known told;
  for (const File& file : files_) {
    if (!file.path.empty()) told.emplace(path_of(file), file.told);
  }
  watched_files_ = files;
  watched_entries_ = entries;
  files_.clear();
  free_.clear();
  listings_.clear();
  suspects_.clear();
  begin_events();
  PathTrails trails;
  for (const std::string& path : files) begin_file(path, told, trails);
  for (const Entries& one : entries) begin_listing(one, told, trails);
  watch_numbers_.clear();
  poll_next_ = 0;
  poll_timer_.set(Clock::now() + pace_.poll);
}

void FileWatch::begin_file(const std::string& path, const Known& told, PathTrails& trails) {
  const auto index = static_cast<FileIndex>(files_.size());
  // The trail comes first: a change after the watch began is an event, and the identity shows one before.
  files_.push_back({.path = path});
  follow(index, trails);
  File& file = files_.back();
  file.seen = look_at(index);
  const auto before = told.find(path);
  file.told = before == told.end() ? file.seen : before->second;
  if (file.seen != file.told) suspect(index);
}

void FileWatch::begin_listing(const Entries& entries, const Known& told, PathTrails& trails) {
  const auto directory = static_cast<FileIndex>(files_.size());
  files_.push_back({.path = entries.directory});
  listings_.emplace(directory, Listing{.wanted = entries.wanted});
  follow(directory, trails);
  files_[directory].seen = look_at(directory);
  list(directory);
  for (const auto& [name, index] : listings_.at(directory).entries) {
    follow(index, trails);
    File& file = files_[index];
    file.seen = look_at(index);
    const auto before = told.find(path_of(file));
    file.told = before == told.end() ? file.seen : before->second;
    if (file.seen != file.told) suspect(index);
  }
}

/// Learns the entries of the directory.
void FileWatch::list(FileIndex directory) {
  Listing& listing = listings_.at(directory);
  const std::string path = path_of(files_[directory]);
  listing.listed = identity(path, same_contents);
  listing.heard_of = false;
  std::error_code failure;
  for (std::filesystem::directory_iterator at(path, failure), end; !failure && at != end;
       at.increment(failure)) {
    const std::string name = at->path().filename().string();
    if (listing.wanted(name)) static_cast<void>(entry(directory, name));
  }
  if (failure) listing.listed = 0;  // so that the poll tries again, once there is something to read
}

/// Returns the place of an entry, and makes the entry when it is new. A new entry counts as missing so far.
FileWatch::FileIndex FileWatch::entry(FileIndex directory, const std::string& name) {
  const auto [known, is_new] = listings_.at(directory).entries.try_emplace(name, kNone);
  if (!is_new) return known->second;
  FileIndex index = static_cast<FileIndex>(files_.size());
  if (free_.empty()) {
    files_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  files_[index] = {.path = name, .directory = directory};
  known->second = index;
  return index;
}

void FileWatch::forget_entry(FileIndex index) {
  File& file = files_[index];
  listings_.at(file.directory).entries.erase(file.path);
  file = {};
  free_.push_back(index);
}

std::string FileWatch::path_of(const File& file) const {
  return file.directory == kNone ? file.path : files_[file.directory].path + '/' + file.path;
}

/// Makes a new inotify instance: the watches that only the old set needed go with the old instance.
void FileWatch::begin_events() {
  readable_.reset();
  directories_.clear();
  watch_numbers_.clear();
  inotify_ = Fd(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify_) return;  // out of instances: the poll has to do
  readable_ = std::make_unique<IoWatcher>(
      loop_, this,
      IoWatcher::Calls<[](void* self, Interest) { static_cast<FileWatch*>(self)->read_events(); }>());
  readable_->attach(inotify_.number());
  readable_->watch(Interest::kRead);
}

/// Watches every directory on the way to a file. The way to an entry is its directory's way, and goes on only
/// where the entry is a link.
void FileWatch::follow(FileIndex index, PathTrails& trails) {
  const File& file = files_[index];
  const std::string path = path_of(file);
  if (file.directory != kNone) {
    if (!is_link(path)) return;
    for (const DirectoryEntry& on : trails.follow_last(path)) depend(index, on);
    return;
  }
  for (const DirectoryEntry& on : trails.follow(path)) depend(index, on);
  if (!is_listing(index)) return;
  Directory* directory = watched(path);
  if (directory != nullptr && std::ranges::find(directory->listings, index) == directory->listings.end())
    directory->listings.push_back(index);
}

void FileWatch::depend(FileIndex index, const DirectoryEntry& on) {
  Directory* directory = watched(on.directory);
  if (directory == nullptr) return;
  std::vector<FileIndex>& sorted = directory->entries[on.name];
  const auto place = std::ranges::lower_bound(sorted, index);
  if (place == sorted.end() || *place != index) sorted.insert(place, index);
}

/// For a directory that is watched already the kernel answers the same number.
FileWatch::Directory* FileWatch::watched(const std::string& path) {
  if (!inotify_) return nullptr;
  const auto [known, is_new] = watch_numbers_.try_emplace(path, -1);
  if (is_new) known->second = inotify_add_watch(inotify_.number(), path.c_str(), kSigns);
  return known->second < 0 ? nullptr : &directories_[known->second];
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
    suspect(directory.listings);
  }
  if (*name != '\0') {
    for (const FileIndex listing : directory.listings) hear_of_entry(listing, name);
  }
  if (const auto entry = directory.entries.find(name); entry != directory.entries.end())
    suspect(entry->second);
  if ((mask & IN_IGNORED) != 0) directories_.erase(found);  // the directory is gone, and its number with it
}

void FileWatch::hear_of_entry(FileIndex directory, const char* name) {
  Listing& listing = listings_.at(directory);
  if (listing.wanted(name)) {
    listing.heard_of = true;
    suspect(entry(directory, name));
  } else if (!listing.heard_of) {
    listing.listed = identity(files_[directory].path, same_contents);
  }
}

void FileWatch::suspect(FileIndex index) {
  File& file = files_[index];
  const TimePoint now = Clock::now();
  file.moved_at = now;
  file.seen = look_at(index);  // so that the next look does not take it for a later change
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
  watch_numbers_.clear();
  std::vector<FileIndex> moving, settled;
  // The loop counts, because a directory that is led elsewhere adds its entries to the suspects.
  for (std::size_t i = 0; i < suspects_.size(); ++i) {
    const FileIndex index = suspects_[i];
    // The way to a file may have changed with it: new directories are watched before the poll looks at the
    // file.
    if (files_[index].moved_at >= looked_at_) {
      follow(index, trails);
      if (is_listing(index)) look_at_listing(index);
    }
    File& file = files_[index];
    const Identity current = look_at(index);
    if (current != std::exchange(file.seen, current)) file.moved_at = now;
    (now - file.moved_at >= pace_.settle ? settled : moving).push_back(index);
  }
  watch_numbers_.clear();
  looked_at_ = now;
  if (!moving.empty()) look_timer_.set(now + pace_.settle / kLooksPerSettle);
  if (!moving.empty() && now - first_sign_ < pace_.patience) return;
  suspects_ = std::move(moving);
  first_sign_ = now;
  tell(settled);
}

/// Handles a directory that may be another one, or of which events were lost: all its entries may differ.
void FileWatch::look_at_listing(FileIndex index) {
  list(index);
  for (const auto& [name, entry] : listings_.at(index).entries) suspect(entry);
}

FileWatch::Identity FileWatch::look_at(FileIndex index) const {
  return identity(path_of(files_[index]), is_listing(index) ? same_file : same_contents);
}

void FileWatch::tell(const std::vector<FileIndex>& settled) {
  std::vector<std::string> changed;
  for (const FileIndex index : settled) {
    File& file = files_[index];
    file.suspect = false;
    if (is_to_be_told(index)) {
      file.told = file.seen;
      changed.push_back(path_of(file));
    }
    if (file.directory != kNone && file.told == 0 && file.seen == 0) forget_entry(index);
  }
  for (auto& [index, listing] : listings_) {
    if (std::exchange(listing.heard_of, false)) listing.listed = identity(files_[index].path, same_contents);
  }
  if (!changed.empty()) on_change_(std::move(changed));
}

/// An entry that is gone counts as a change, unless the whole directory is gone.
bool FileWatch::is_to_be_told(FileIndex index) const {
  const File& file = files_[index];
  if (file.seen == file.told || is_listing(index)) return false;
  if (file.seen != 0) return true;
  return file.directory != kNone && identity(files_[file.directory].path, same_file) != 0;
}

void FileWatch::poll() {
  for (const auto& [index, listing] : listings_) {
    if (!listing.heard_of && identity(files_[index].path, same_contents) != listing.listed) suspect(index);
  }
  const std::size_t slice = std::min(files_.size(), kPollSlice);
  for (std::size_t i = 0; i < slice; ++i) {
    poll_next_ = (poll_next_ + 1) % static_cast<FileIndex>(files_.size());
    const File& file = files_[poll_next_];
    if (!file.suspect && !file.path.empty() && look_at(poll_next_) != file.seen) suspect(poll_next_);
  }
  poll_timer_.set(Clock::now() + pace_.poll);
}

}  // namespace headgate
