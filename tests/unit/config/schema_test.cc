#include <algorithm>
#include <cstdint>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "checkout/checkout.h"
#include "config/known_keys.h"
#include "config/load.h"

namespace headgate::config {
namespace {

using nlohmann::json;

const json& schema() {
  static const json parsed = [] {
    std::ifstream file(in_checkout("config/headgate.schema.json"));
    return json::parse(file);
  }();
  return parsed;
}

/// Returns `value`, or its alternative of `type`; null when no alternative has that type.
json alternative(const json& node, const std::string& type) {
  if (node.value("type", "") == type) return node;
  for (const json& choice : node.value("anyOf", json::array())) {
    if (choice.value("type", "") == type) return choice;
  }
  return nullptr;
}

/// Returns the description of the plain value that may stand in the place of a map; null where none may.
json plain_value(const json& node) {
  if (!node.contains("default")) return nullptr;
  json value = node;
  for (const json& choice : node.value("anyOf", json::array())) {
    if (choice.contains("$ref")) value["$ref"] = choice["$ref"];
  }
  return value;
}

/// Returns each key of the schema that holds a value or a list of values, by the path that known_keys() gives
/// it.
void collect(const json& node, const std::string& path, std::map<std::string, json>& keys) {
  if (const json map = alternative(node, "object"); !map.is_null()) {
    const json properties = map.value("properties", json::object());
    for (const auto& [name, property] : properties.items()) {
      collect(property, path.empty() ? name : path + '.' + name, keys);
    }
    if (map.contains("additionalProperties") && map["additionalProperties"].is_object()) {
      collect(map["additionalProperties"], path + ".*", keys);
    }
    const json value = plain_value(node);
    if (!value.is_null()) keys[path] = value;
    return;
  }
  const json list = alternative(node, "array");
  if (!list.is_null() && !alternative(list["items"], "object").is_null()) {
    return collect(list["items"], path + "[]", keys);
  }
  keys[list.is_null() ? path : path + "[]"] = node;
}

std::map<std::string, json> schema_keys() {
  std::map<std::string, json> keys;
  collect(schema(), "", keys);
  return keys;
}

/// Returns the node that describes one value: `node` itself, or the items of a list.
json value_node(const json& node) {
  const json list = alternative(node, "array");
  return list.is_null() ? node : list["items"];
}

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

TEST(Schema, HasEveryKeyTheLoaderKnowsAndNoOther) {
  std::set<std::string> in_loader;
  for (const KnownKey& key : known_keys()) in_loader.insert(key.path);
  std::set<std::string> in_schema;
  for (const auto& [path, node] : schema_keys()) in_schema.insert(path);
  EXPECT_EQ(in_schema, in_loader);
}

TEST(Schema, HasTheLoadersDefaults) {
  auto keys = schema_keys();
  for (const KnownKey& known : known_keys()) {
    const json& node = keys[known.path];
    ASSERT_TRUE(node.contains("default")) << known.path;
    if (known.path.ends_with("[]")) {
      EXPECT_EQ(node["default"].get<std::vector<std::string>>(), known.default_list) << known.path;
    } else {
      EXPECT_EQ(text_of(node["default"]), known.default_text) << known.path;
    }
  }
}

TEST(Schema, DescribesEveryKey) {
  for (const auto& [path, node] : schema_keys()) EXPECT_GT(node.value("description", "").size(), 10u) << path;
}

TEST(Schema, WritesValuesTheWayTheLoaderReadsThem) {
  auto keys = schema_keys();
  for (const KnownKey& known : known_keys()) {
    const json node = value_node(keys[known.path]);
    if (known.form.kind == "integer") {
      EXPECT_EQ(node.value("minimum", -1), known.form.minimum) << known.path;
      EXPECT_EQ(node.value("maximum", std::int64_t{-1}), known.form.maximum) << known.path;
    } else if (node.contains("enum")) {
      EXPECT_EQ(node["enum"].get<std::vector<std::string>>(), known.form.words) << known.path;
    } else {
      const std::string definition = node.value("$ref", "");
      EXPECT_EQ(definition, "#/$defs/" + std::string(known.form.kind)) << known.path;
      EXPECT_TRUE(schema()["$defs"].contains(known.form.kind)) << known.path;
    }
  }
}

TEST(Schema, RefusesUnknownKeysInEveryMap) {
  std::vector<json> open{schema()};
  while (!open.empty()) {
    const json node = open.back();
    open.pop_back();
    if (node.is_object() && node.contains("properties") && node["properties"].is_object()) {
      EXPECT_EQ(node.value("additionalProperties", json(true)), json(false)) << node["description"];
    }
    if (node.is_structured()) open.insert(open.end(), node.begin(), node.end());
  }
}

bool matches(const std::string& text, const std::string& pattern) {
  static std::map<std::string, std::regex> made;
  const auto [found, fresh] = made.try_emplace(pattern);
  if (fresh) found->second = std::regex(pattern);
  return std::regex_search(text, found->second);
}

/// Whether the schema lets `value` stand where `node` is, as far as the schema of a configuration goes.
bool offers(json node, const json& value) {
  if (node.contains("$ref"))
    node = schema()["$defs"][node["$ref"].get<std::string>().substr(std::string("#/$defs/").size())];
  if (node.contains("anyOf"))
    return std::ranges::any_of(node["anyOf"], [&](const json& one) { return offers(one, value); });
  if (node.contains("const")) return node["const"] == value;
  if (node.contains("enum")) return std::ranges::find(node["enum"], value) != node["enum"].end();
  if (node["type"] == "integer")
    return value.is_number_integer() && value >= node["minimum"] && value <= node["maximum"];
  if (node["type"] != "string" || !value.is_string()) return false;
  const auto text = value.get<std::string>();
  if (text.size() < node.value("minLength", std::size_t{0})) return false;
  if (text.size() > node.value("maxLength", std::string::npos)) return false;
  if (!node.contains("pattern")) return true;
  return matches(text, node["pattern"].get<std::string>());
}

/// A configuration in which each key may have any value, whatever the others are.
json patient_configuration() {
  return json::parse(R"({
    "listeners": [{
      "name": "web", "bind": ["127.0.0.1:1"], "proxy_protocol": {"from": ["10.0.0.0/8"]},
      "tls": {"certificates": [{"certificate": "a.pem"}], "client_auth": {"mode": "optional", "ca": "ca.pem"}},
      "routes": [{"sni": ["a.test"], "backend": "app"}], "backend": "app"}],
    "backends": {"app": {
      "servers": [{"address": "127.0.0.1:2"}, {"address": "127.0.0.1:3"}], "send_proxy": "v2",
      "tls": {"certificate": "client.pem"}}}})");
}

/// Sets the key of a path as known_keys() writes it, in the first item of each list. Returns the key of the
/// fault that a wrong value would be.
std::string set(json& at, const std::string& path, const json& value) {
  const std::string step = path.substr(0, path.find('.'));
  const std::string rest = path.size() == step.size() ? "" : path.substr(step.size() + 1);
  const bool list = step.ends_with("[]");
  if (!at.is_object()) at = json::object();  // A file may stand in place of the map.
  const std::string name = step == "*" ? "app" : list ? step.substr(0, step.size() - 2) : step;
  const std::string key = name + (list ? "[0]" : "");
  if (!rest.empty()) return key + '.' + set(list ? at[name][0] : at[name], rest, value);
  at[name] = list ? json::array({value}) : value;
  return key;
}

/// Whether the loader finds no fault in the value.
bool takes(const std::string& path, const json& value) {
  json whole = patient_configuration();
  const std::string key = set(whole, path, value);
  const Loaded loaded = load_text(whole.dump(), "t.yaml", "/etc/headgate");
  return std::ranges::none_of(loaded.faults,
                              [&](const Fault& fault) { return !fault.warning && fault.key == key; });
}

/// Adds the values at, below and above the bounds of a node and of its parts, and all that it enumerates.
void add_bounds(const json& node, std::vector<json>& values) {
  for (const json& one : node.value("enum", json::array())) values.push_back(one);
  if (node.contains("minimum")) {
    for (const char* bound : {"minimum", "maximum"}) {
      for (const std::int64_t off : {-1, 0, 1}) values.emplace_back(node[bound].get<std::int64_t>() + off);
    }
  }
  for (const json& part : node.value("anyOf", json::array())) add_bounds(part, values);
  const std::string reference = node.value("$ref", "");
  if (!reference.empty())
    add_bounds(schema()["$defs"][reference.substr(std::string("#/$defs/").size())], values);
}

std::vector<json> values_for(const json& node) {
  std::vector<json> values;
  add_bounds(node, values);
  for (const char* text : {"",
                           "0",
                           "1",
                           "-1",
                           "0s",
                           "1ms",
                           "999ms",
                           "1000ms",
                           "1500ms",
                           "1s",
                           "24h",
                           "25h",
                           "168h",
                           "169h",
                           "87600h",
                           "87601h",
                           "315360000001ms",
                           "16KiB",
                           "999999999999KiB",
                           "1000000000MiB",
                           "999999GiB",
                           "1048577GiB",
                           "512MB",
                           "127.0.0.1:0",
                           "127.0.0.1:65535",
                           "127.0.0.1:65536",
                           "300.0.0.1:1",
                           "[::1]:1",
                           ":5",
                           ":70000",
                           "unix:/run/a",
                           "localhost:1",
                           "localhost:0",
                           "a.test",
                           "a..test",
                           "*.a.test",
                           "*",
                           "a b",
                           "h2",
                           "$alpn",
                           "$sni",
                           "$x",
                           "spiffe://a",
                           "spiffe://",
                           "10.0.0.0/8",
                           "10.0.0.0/33",
                           "300.1.1.1",
                           "2001:db8::/32",
                           "2001:db8::/129",
                           "on",
                           "off",
                           "auto",
                           "1.1",
                           "5%",
                           "0%",
                           "99%",
                           "100%",
                           "TLS_AES_128_GCM_SHA256",
                           "ECDHE+AESGCM",
                           "X25519",
                           "mysql",
                           "process",
                           "smtp"}) {
    values.emplace_back(text);
  }
  return values;
}

// An editor that follows the schema must not offer what the program then refuses.
TEST(Schema, OffersNoValueThatTheLoaderRefuses) {
  // Their values depend on other keys: a backend must exist, a protocol be offered, an answer be expected, a
  // worker be bound; and on files that must exist.
  const std::set<std::string> dependent{"listeners[].backend",          "listeners[].routes[].backend",
                                        "backends.*.health_check.send", "listeners[].routes[].alpn[]",
                                        "workers.incoming_cpu",         "include[]"};
  std::size_t offered = 0;
  for (const auto& [path, node] : schema_keys()) {
    if (dependent.contains(path)) continue;
    const json one = value_node(node);
    for (const json& value : values_for(one)) {
      if (!offers(one, value)) continue;
      ++offered;
      EXPECT_TRUE(takes(path, value)) << path << ": " << value;
    }
  }
  EXPECT_GT(offered, 500U);
}

// The other way around for numbers and words, whose bounds are exact.
TEST(Schema, OffersEveryNumberAndDurationThatTheLoaderTakes) {
  for (const auto& [path, node] : schema_keys()) {
    const json one = value_node(node);
    const std::string reference = one.value("$ref", "");
    const bool duration = reference.ends_with("duration") || reference.ends_with("timeout") ||
                          reference.ends_with("seconds") || reference.ends_with("lifetime") ||
                          reference.ends_with("_time");
    if (!duration && one.value("type", "") != "integer") continue;
    for (const json& value : values_for(one)) {
      if (duration != value.is_string()) continue;
      EXPECT_EQ(offers(one, value), takes(path, value)) << path << ": " << value;
    }
  }
}

}  // namespace
}  // namespace headgate::config
