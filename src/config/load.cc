#include "config/load.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/result.h"
#include "config/document.h"
#include "config/map_reader.h"
#include "config/unavailable.h"
#include "config/validate.h"
#include "net/fd.h"

namespace headgate::config {
namespace {

/// The bytes of a file, at most one more than the longest document, so that reading an endless device ends.
Result<std::string> read_whole(const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno("cannot be opened", errno);
  std::string bytes;
  std::array<char, 64 * 1024> chunk;
  while (bytes.size() <= kLongestDocumentBytes) {
    const ssize_t count = read(file.number(), chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno("cannot be read", errno);
    if (count == 0) return bytes;
    bytes.append(chunk.data(), static_cast<std::size_t>(count));
  }
  return bytes;
}

std::string directory_of(const std::string& path) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error);
  return (error ? std::filesystem::path(path) : whole).parent_path().string();
}

/// A listener without a name gets its first address as its name.
void name_the_nameless(Config& config) {
  for (Listener& listener : config.listeners) {
    if (listener.name.empty() && !listener.bind.empty()) listener.name = listener.bind.front().text();
  }
}

void read_document(const Node& document, Reading& reading, Config& config) {
  reading.faults.place("", document.position);
  MapReader reader(document, {}, reading);
  visit_keys(reader, config);
  reader.refuse_unknown_keys();
  refuse_unavailable(reading);
  name_the_nameless(config);
  validate(config, reading.faults);
}

}  // namespace

bool Loaded::usable() const {
  return std::all_of(faults.begin(), faults.end(), [](const Fault& fault) { return fault.warning; });
}

Loaded load_file(const std::string& path) {
  const auto text = read_whole(path);
  if (!text) return {{}, {Fault{.file = path, .what = text.error().what}}, Places(path)};
  return load_text(*text, path, directory_of(path));
}

Loaded load_text(std::string_view text, const std::string& file, const std::string& base_directory) {
  Faults faults(file);
  Loaded loaded;
  const Node document = parse_document(text, faults);
  if (document.kind == Node::Kind::kMap) {
    Reading reading{faults, base_directory, {}};
    read_document(document, reading, loaded.config);
  } else if (!faults.concern("")) {
    faults.add_at({1, 1}, "",
                  "the configuration must be a map with at least the keys \"listeners\" and \"backends\"");
  }
  loaded.faults = faults.take();
  loaded.places = faults.places();
  return loaded;
}

}  // namespace headgate::config
