#include "config/included.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "base/ascii.h"
#include "config/document.h"
#include "config/notation.h"
#include "net/fd.h"

namespace headgate::config {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".yaml";

/// Whether an operator may have meant the file to be read, although it is not.
bool looks_included(std::string_view name) {
  const std::string lower = ascii_lower(name);
  return !name.starts_with('.') && !is_included(name) &&
         (lower.ends_with(kExtension) || lower.ends_with(".yml"));
}

/// The names of the entries of a directory.
Result<std::vector<std::string>> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code failure;
  for (fs::directory_iterator at(directory, failure), end; !failure && at != end; at.increment(failure))
    names.push_back(at->path().filename().string());
  if (failure) return fail_errno("cannot be read", failure.value());
  std::ranges::sort(names);
  return names;
}

/// Reads included files one after the other.
class Included {
 public:
  Included(const MainFile& main, Faults& faults) : main_(main), spent_bytes_(main.bytes), faults_(faults) {
    struct stat found{};
    if (::stat(main.name.c_str(), &found) == 0)
      seen_.emplace(std::pair(found.st_dev, found.st_ino), main.name);
  }

  /// Reads what the entry `key` of `include` names.
  void read(const std::string& path, const std::string& key) {
    std::error_code failure;
    const fs::file_status status = fs::status(path, failure);
    if (!fs::exists(status)) {
      const int why = failure ? failure.value() : ENOENT;
      return refuse(key, path, fail_errno("cannot be opened", why).value());
    }
    if (!fs::is_directory(status)) return read_file(path);
    const auto names = names_in(path);
    if (!names) return refuse(key, path, names.error());
    read_directory(path, *names, key);
  }

  [[nodiscard]] std::vector<IncludedFile> take() { return std::move(files_); }

 private:
  void refuse(const std::string& key, const std::string& path, const Error& error) {
    faults_.miss_a_file();
    faults_.add(key, quote(shown(path)) + ' ' + error.what);
  }

  void read_directory(const std::string& path, const std::vector<std::string>& names,
                      const std::string& key) {
    bool has_file = false;
    for (const std::string& name : names) {
      if (looks_included(name))
        faults_.warn(
            key, quote(shown(path) + '/' + name) + " is passed over: only names that end in .yaml are read");
      if (!is_included(name)) continue;
      has_file = true;
      read_file((fs::path(path) / name).string());
    }
    if (!has_file) faults_.warn(key, quote(shown(path)) + " has no file with a name that ends in .yaml");
  }

  void read_file(const std::string& path) {
    const std::uint32_t file = faults_.add_file(shown(path));
    const auto refuse = [&](const std::string& what) {
      faults_.miss_a_file();
      faults_.add_at({.file = file}, "", what);
    };
    if (file > kMostFiles) return refuse_more(refuse);
    // A pipe without a writer must not stop the reload.
    const Fd opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!opened) return refuse(fail_errno("cannot be opened", errno).value().what);
    struct stat found{};
    if (::fstat(opened.number(), &found) != 0)
      return refuse(fail_errno("cannot be read", errno).value().what);
    if (!S_ISREG(found.st_mode))
      return refuse("is not a regular file; move it elsewhere, or give it another extension than .yaml");
    const auto [same, is_new] = seen_.emplace(std::pair(found.st_dev, found.st_ino), shown(path));
    if (!is_new) return refuse("is read as " + quote(same->second) + " already; include it once");
    auto text = read_to_end(opened.number());
    if (!text) return refuse(text.error().what);
    spent_bytes_ += text->size();
    if (spent_bytes_ > kLongestDocumentBytes)
      return refuse("is too much: the files of this configuration are longer than 16 MiB together");
    if (text->find_first_not_of(" \t\r\n") == text->npos)
      return refuse("is empty, as a file is that is half written; write a comment into it, or remove it");
    files_.push_back({path, file, *std::move(text)});
  }

  template <class Refuse>
  void refuse_more(const Refuse& refuse) {
    if (!std::exchange(full_, true))
      refuse("is one file too many; a configuration has at most " + std::to_string(kMostFiles) + " more");
  }

  /// A path in the directory of the main file is named as that file is.
  [[nodiscard]] std::string shown(const std::string& path) const {
    const std::string below = main_.directory + '/';
    if (main_.directory.empty() || !path.starts_with(below)) return path;
    return (fs::path(main_.name).parent_path() / path.substr(below.size())).string();
  }

  const MainFile& main_;
  std::size_t spent_bytes_;
  Faults& faults_;
  std::map<std::pair<dev_t, ino_t>, std::string> seen_;
  std::vector<IncludedFile> files_;
  bool full_ = false;
};

}  // namespace

std::string directory_of(const std::string& path) {
  std::error_code error;
  const fs::path whole = fs::absolute(path, error);
  return (error ? fs::path(path) : whole).parent_path().string();
}

Result<std::string> read_to_end(int descriptor) {
  std::string bytes;
  std::array<char, 64 * 1024> chunk;
  while (bytes.size() <= kLongestDocumentBytes) {
    const ssize_t count = read(descriptor, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno("cannot be read", errno);
    if (count == 0) return bytes;
    bytes.append(chunk.data(), static_cast<std::size_t>(count));
  }
  return bytes;
}

Result<std::string> read_whole(const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno("cannot be opened", errno);
  return read_to_end(file.number());
}

bool is_included(std::string_view name) {
  return name.ends_with(kExtension) && name.size() > kExtension.size() && !name.starts_with('.');
}

std::vector<IncludedFile> read_included(const std::vector<std::string>& include, const MainFile& main,
                                        Faults& faults) {
  Included included(main, faults);
  for (std::size_t index = 0; index < include.size(); ++index)
    included.read(include[index], "include[" + std::to_string(index) + ']');
  return included.take();
}

}  // namespace headgate::config
