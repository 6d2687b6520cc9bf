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
#include "base/secret_text.h"
#include "config/document.h"
#include "config/map_reader.h"
#include "config/validate.h"
#include "net/fd.h"

namespace headgate::config {
namespace {

/// At most one byte more than the longest document, so that reading an endless device ends.
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

std::string directory_of(const std::string& path) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error);
  return (error ? std::filesystem::path(path) : whole).parent_path().string();
}

/// A listener without a name gets its first address as its name.
void name_the_nameless(Config& config) {
  for (Listener& listener : config.listeners) {
    if (!listener.name.empty() || listener.bind.empty() || listener.bind.front() == Bind()) continue;
    listener.name = listener.bind.front().address.text();
  }
}

/// A listener that only passes TLS through reads the ClientHello and needs no keys of `tls`.
void let_routers_read_names(Config& config, const Faults& faults) {
  for (std::size_t index = 0; index < config.listeners.size(); ++index) {
    Listener& listener = config.listeners[index];
    const bool given = listener.tls || faults.concern("listeners[" + std::to_string(index) + "].tls");
    if (!given && only_passes_through(listener)) listener.tls.emplace();
  }
}

/// A transparent listener that says nothing else goes to the address that the client asked for.
void give_transparent_listeners_a_backend(Config& config) {
  for (Listener& listener : config.listeners) {
    if (!listener.transparent || !listener.backend.empty() || !listener.routes.empty()) continue;
    listener.backend = kOriginal;
    Backend& original = config.backends[listener.backend];
    if (!original.name.empty()) continue;  // the operator's own
    original.name = kOriginal;
    original.servers.push_back({.address = std::string(kOriginal)});
  }
}

void read_document(const Node& document, Reading& reading, Config& config) {
  reading.faults.place("", document.position);
  MapReader reader(document, {}, reading);
  visit_keys(reader, config);
  reader.refuse_unknown_keys();
  name_the_nameless(config);
  let_routers_read_names(config, reading.faults);
  give_transparent_listeners_a_backend(config);
  validate(config, reading.faults);
}

Loaded load_read(const Result<std::string>& text, const std::string& file,
                 const std::string& base_directory) {
  if (text) return load_text(*text, file, base_directory);
  return {{}, {Fault{.file = without_secrets(file), .what = text.error().what}}, Places(file)};
}

}  // namespace

bool Loaded::usable() const {
  return std::all_of(faults.begin(), faults.end(), [](const Fault& fault) { return fault.warning; });
}

Loaded load_file(const std::string& path) {
  return load_read(read_whole(path), path, directory_of(path));
}

Loaded load_standard_input() {
  const std::string name = "<stdin>";
  return load_read(read_to_end(STDIN_FILENO), name, directory_of(name));
}

Loaded load_text(std::string_view text, const std::string& file, const std::string& base_directory) {
  Faults faults(file);
  Loaded loaded;
  const Node document = parse_document(text, faults);
  if (document.kind == Node::Kind::kMap) {
    Reading reading{faults, base_directory};
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
