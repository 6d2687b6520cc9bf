#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "config/known_keys.h"

namespace headgate::config {
namespace {

using nlohmann::json;

json schema() {
  std::ifstream file(HEADGATE_SOURCE_DIR "/config/headgate.schema.json");
  return json::parse(file);
}

/// Returns `value`, or its alternative of `type`; null when no alternative has that type.
json alternative(const json& node, const std::string& type) {
  if (node.value("type", "") == type) return node;
  for (const json& choice : node.value("anyOf", json::array())) {
    if (choice.value("type", "") == type) return choice;
  }
  return nullptr;
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

}  // namespace
}  // namespace headgate::config
