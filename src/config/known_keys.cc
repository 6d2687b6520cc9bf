#include "config/known_keys.h"

#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "config/keys.h"

namespace headgate::config {
namespace {

/// The visitor of keys.h that lists the keys, with the values of the object it is shown as defaults.
class KeyLister {
 public:
  KeyLister(std::string prefix, std::vector<KnownKey>& keys) : prefix_(std::move(prefix)), keys_(keys) {}

  template <class T, class Notation>
  void value(std::string_view key, T& target, const Notation& notation) {
    keys_.push_back({path(key), notation.form(), notation.text(target), {}});
  }
  template <class T, class Notation>
  void list(std::string_view key, std::vector<T>& target, const Notation& notation, ListForm) {
    KnownKey known{path(key) + "[]", notation.form(), {}, {}};
    for (const T& element : target) known.default_list.push_back(notation.text(element));
    keys_.push_back(std::move(known));
  }
  template <class T>
  void map(std::string_view key, T& target) {
    descend(path(key) + '.', target);
  }
  template <class T>
  void admitting_map(std::string_view key, T& target) {
    map(key, target);
  }
  template <class T>
  void optional_map(std::string_view key, std::optional<T>&) {
    descend_into_default<T>(path(key) + '.');
  }
  template <class T>
  void maps(std::string_view key, std::vector<T>&, std::string_view) {
    descend_into_default<T>(path(key) + "[].");
  }
  template <class T, class Notation>
  void named_maps(std::string_view key, std::map<std::string, T>&, const Notation&) {
    descend_into_default<T>(path(key) + ".*.");
  }

  template <class T, class Notation, class NameNotation>
  void value_or_map(std::string_view key, T& target, std::map<std::string, T>&, const Notation& notation,
                    const NameNotation&) {
    value(key, target, notation);
    keys_.push_back({path(key) + ".*", notation.form(), {}, {}});
  }

  template <class T, class Notation, class Map>
  void value_or_keys(std::string_view key, T& target, const Notation& notation, Map& keys, bool) {
    value(key, target, notation);
    map(key, keys);
  }

 private:
  [[nodiscard]] std::string path(std::string_view key) const { return prefix_ + std::string(key); }

  template <class T>
  void descend(std::string prefix, T& target) {
    KeyLister lister(std::move(prefix), keys_);
    visit_keys(lister, target);
  }
  template <class T>
  void descend_into_default(std::string prefix) {
    T object;
    descend(std::move(prefix), object);
  }

  std::string prefix_;
  std::vector<KnownKey>& keys_;
};

}  // namespace

std::vector<KnownKey> known_keys() {
  std::vector<KnownKey> keys;
  KeyLister lister("", keys);
  Sources sources;
  visit_keys(lister, sources);
  Config defaults;
  visit_keys(lister, defaults);
  return keys;
}

}  // namespace headgate::config
