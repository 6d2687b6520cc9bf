#include "supervisor/path_trail.h"

#include <sys/stat.h>

#include <deque>
#include <filesystem>
#include <iterator>
#include <system_error>

namespace headgate {
namespace {

namespace fs = std::filesystem;

/// As many links as the kernel follows in one path (path_resolution(7)).
constexpr int kMaxLinks = 40;

enum class Entry { kMissing, kLink, kDirectory, kFile };

Entry look_at(const std::string& path) {
  struct stat found{};
  if (lstat(path.c_str(), &found) != 0) return Entry::kMissing;
  if (S_ISLNK(found.st_mode)) return Entry::kLink;
  return S_ISDIR(found.st_mode) ? Entry::kDirectory : Entry::kFile;
}

std::string join(const std::string& directory, const std::string& name) {
  return directory.ends_with('/') ? directory + name : directory + "/" + name;
}

/// Walks from `directory` along `steps`, and adds each entry on the way to `trail`. Returns the place that it
/// leads to, or "" if it leads nowhere.
std::string walk(std::string directory, const fs::path& steps, std::vector<DirectoryEntry>& trail) {
  std::deque<std::string> ahead;
  for (const fs::path& step : steps.relative_path()) ahead.push_back(step);
  if (steps.is_absolute()) directory = "/";
  for (int links = 0; !ahead.empty();) {
    const std::string name = ahead.front();
    ahead.pop_front();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      directory = fs::path(directory).parent_path();
      continue;
    }
    const std::string at = join(directory, name);
    trail.push_back({directory, name});
    switch (look_at(at)) {
      case Entry::kMissing:
        return "";
      case Entry::kFile:
        return ahead.empty() ? at : "";
      case Entry::kDirectory:
        directory = at;
        break;
      case Entry::kLink: {
        std::error_code error;
        const fs::path target = fs::read_symlink(at, error);
        if (error || ++links > kMaxLinks) return "";
        const fs::path relative = target.relative_path();
        ahead.insert(ahead.begin(), relative.begin(), relative.end());
        if (target.is_absolute()) directory = "/";
        break;
      }
    }
  }
  return directory;
}

}  // namespace

const PathTrails::Directory& PathTrails::directory(const std::string& path) {
  const auto [found, is_new] = directories_.try_emplace(path);
  if (is_new) found->second.real = walk(fs::current_path(), path, found->second.trail);
  return found->second;
}

std::vector<DirectoryEntry> PathTrails::follow(const std::string& path) {
  std::vector<DirectoryEntry> trail = directory(fs::path(path).parent_path()).trail;
  std::vector<DirectoryEntry> last = follow_last(path);
  trail.insert(trail.end(), std::make_move_iterator(last.begin()), std::make_move_iterator(last.end()));
  return trail;
}

std::vector<DirectoryEntry> PathTrails::follow_last(const std::string& path) {
  const fs::path whole(path);
  const Directory& parent = directory(whole.parent_path());
  std::vector<DirectoryEntry> trail;
  if (!parent.real.empty()) walk(parent.real, whole.filename(), trail);
  return trail;
}

}  // namespace headgate
