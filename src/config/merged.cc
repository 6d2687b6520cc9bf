#include "config/merged.h"

#include <utility>

#include "config/notation.h"

namespace headgate::config {
namespace {

constexpr std::string_view kListeners = "listeners";
constexpr std::string_view kBackends = "backends";

Node key_node(std::string_view key, Position position) {
  return {Node::Kind::kScalar, std::string(key), position, {}};
}

/// The faults of an entry of `backends` that no Label reads are those of its reader.
std::string path_of(std::string_view backend) {
  return std::string(kBackends) + '.' + std::string(backend);
}

}  // namespace

Merged::Merged(const Node& main, Faults& faults) : faults_(faults) {
  whole_.position = main.position;
  for (const Entry& entry : entries(main, "", faults)) add_entry(entry);
}

void Merged::add(const Node& document) {
  if (document.kind == Node::Kind::kNull) return;
  if (document.kind != Node::Kind::kMap) {
    faults_.miss_a_file();
    return faults_.add_at(document.position, "",
                          "an included file is a map with keys such as \"listeners\" and \"backends\", not " +
                              std::string(description(document.kind)));
  }
  for (const Entry& entry : entries(document, "", faults_)) {
    if (entry.key == "include" || entry.key == "environment") {
      faults_.add_at(entry.key_position, std::string(entry.key),
                     "belongs in " + faults_.places().file() + " alone, which includes this file");
    } else {
      add_entry(entry);
    }
  }
}

void Merged::add_entry(const Entry& entry) {
  if (entry.key == kListeners && entry.value->kind == Node::Kind::kList) return add_listeners(entry);
  if (entry.key == kBackends && entry.value->kind == Node::Kind::kMap) return add_backends(entry);
  const auto [first, is_new] = keys_.emplace(entry.key, entry.key_position);
  if (is_new) return append(entry.key, entry.key_position, *entry.value);
  const bool is_joined = entry.key == kListeners || entry.key == kBackends;
  faults_.add_at(is_joined ? entry.value->position : entry.key_position, std::string(entry.key),
                 is_joined ? "needs " + std::string(entry.key == kListeners ? "a list" : "a map") +
                                 " here, not " + std::string(description(entry.value->kind))
                           : "is given at " + faults_.places().text_of(first->second) + " already; keep one");
}

void Merged::add_listeners(const Entry& entry) {
  keys_.emplace(entry.key, entry.key_position);
  Node* listeners = find(kListeners);
  if (listeners == nullptr) return append(entry.key, entry.key_position, *entry.value);
  if (listeners->kind != Node::Kind::kList) return;  // a fault of its own
  listeners->items.insert(listeners->items.end(), entry.value->items.begin(), entry.value->items.end());
}

void Merged::add_backends(const Entry& entry) {
  keys_.emplace(entry.key, entry.key_position);
  if (find(kBackends) == nullptr)
    append(entry.key, entry.key_position, {Node::Kind::kMap, {}, entry.value->position, {}});
  Node* backends = find(kBackends);
  if (backends->kind != Node::Kind::kMap) return;  // a fault of its own
  for (const Entry& backend : entries(*entry.value, std::string(kBackends), faults_)) {
    const auto [first, is_new] = backends_.emplace(backend.key, backend.key_position);
    if (is_new) {
      backends->items.push_back(key_node(backend.key, backend.key_position));
      backends->items.push_back(*backend.value);
    } else {
      faults_.add_at(backend.key_position, path_of(backend.key),
                     "is given at " + faults_.places().text_of(first->second) + " already; keep one");
    }
  }
}

Node* Merged::find(std::string_view key) {
  for (std::size_t index = 0; index + 1 < whole_.items.size(); index += 2) {
    if (whole_.items[index].scalar == key) return &whole_.items[index + 1];
  }
  return nullptr;
}

void Merged::append(std::string_view key, Position key_position, Node value) {
  whole_.items.push_back(key_node(key, key_position));
  whole_.items.push_back(std::move(value));
}

}  // namespace headgate::config
