#include "config/load.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/result.h"
#include "base/secret_text.h"
#include "config/document.h"
#include "config/included.h"
#include "config/map_reader.h"
#include "config/merged.h"
#include "config/validate.h"

namespace headgate::config {
namespace {

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

/// `crypto` holds for every handshake.
void tell_every_tls_of_crypto(Config& config) {
  for (Listener& listener : config.listeners) {
    if (listener.tls) listener.tls->x25519 = config.x25519;
  }
  for (auto& [name, backend] : config.backends) {
    if (backend.tls) backend.tls->x25519 = config.x25519;
  }
}

/// Fills what keys leave open, and checks what one key cannot show.
void complete(Config& config, Faults& faults) {
  name_the_nameless(config);
  let_routers_read_names(config, faults);
  give_transparent_listeners_a_backend(config);
  tell_every_tls_of_crypto(config);
  validate(config, faults);
}

bool has_sources(const Node& document) {
  for (std::size_t index = 0; index + 1 < document.items.size(); index += 2) {
    const std::string& key = document.items[index].scalar;
    if (key == "include" || key == "environment" || key == "<<") return true;
  }
  return false;
}

/// Loads one configuration: its main document first, then the files that it includes.
class Loading {
 public:
  Loading(MainFile main, Faults& faults)
      : main_(std::move(main)), faults_(faults), parsing_{faults}, reading_{faults, {main_.directory}, {}} {}

  void read(std::string_view text, Loaded& loaded) {
    const Node document = parse_document(text, parsing_);
    if (document.kind != Node::Kind::kMap) {
      if (faults_.concern("")) return;
      return faults_.add_at(
          {1, 1}, "",
          "the configuration must be a map with at least the keys \"listeners\" and \"backends\"");
    }
    faults_.place("", document.position);
    if (!has_sources(document)) return read_keys(document, loaded);
    Merged merged(document, faults_);
    read_sources(merged, loaded.sources);
    read_keys(merged.whole(), loaded);
  }

 private:
  void read_sources(Merged& merged, Sources& sources) {
    MapReader reader(merged.whole(), {}, reading_);
    visit_keys(reader, sources);
    for (const IncludedFile& included : read_included(sources.include, main_, faults_)) {
      reading_.directories.resize(included.file + 1);
      reading_.directories[included.file] = directory_of(included.path);
      parsing_.file = included.file;
      merged.add(parse_document(included.text, parsing_));
    }
    if (!sources.environment.empty()) reading_.variables.emplace(sources.environment);
  }

  void read_keys(const Node& document, Loaded& loaded) {
    MapReader reader(document, {}, reading_);
    Sources known;
    reader.pass_over(known);
    visit_keys(reader, loaded.config);
    reader.refuse_unknown_keys();
    complete(loaded.config, faults_);
    loaded.variables = std::move(reading_.put_in);
  }

  MainFile main_;
  Faults& faults_;
  Parsing parsing_;
  Reading reading_;
};

Loaded load_read(const Result<std::string>& text, const std::string& file,
                 const std::string& base_directory) {
  if (text) return load_text(*text, file, base_directory);
  return {.config = {},
          .faults = {Fault{.file = without_secrets(file), .what = text.error().what}},
          .places = Places(file)};
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
  Loading({file, base_directory, text.size()}, faults).read(text, loaded);
  loaded.faults = faults.take();
  loaded.places = faults.places();
  return loaded;
}

}  // namespace headgate::config
