#include "host/config_schema.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "host/config_io.h"
#include "host/config_table.h"
#include "host/distribution.h"
#include "host/environments.h"

namespace pendula {
namespace {

using nlohmann::ordered_json;

// 5 and not 5.0, where a double is an integer that it tells from its neighbours.
ordered_json bound(double value) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (value == std::trunc(value) && std::abs(value) <= kExact) return static_cast<int64_t>(value);
  return value;
}

// The reader refuses a number that single precision rounds onto the open end of its range
// (host/config_value.cpp), so the limit is where that begins: halfway to the next float, itself
// included where it rounds to the end.
void add_open_end(ordered_json& schema, double end, float inwards, const char* closed,
                  const char* open) {
  const float at = static_cast<float>(end);
  double limit = end;
  if (at == end) limit += (std::nextafter(at, inwards) - end) / 2;
  const bool refused = limit == end || static_cast<float>(limit) == end;
  schema[refused ? open : closed] = bound(limit);
}

void add_range(ordered_json& schema, const Range& range) {
  constexpr double kMax = std::numeric_limits<double>::max();  // an endless range: finite numbers
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (range.open_min) {
    add_open_end(schema, range.min, kInfinity, "minimum", "exclusiveMinimum");
  } else {
    schema["minimum"] = bound(std::max(range.min, -kMax));
  }
  if (range.open_max) {
    add_open_end(schema, range.max, -kInfinity, "maximum", "exclusiveMaximum");
  } else {
    schema["maximum"] = bound(std::min(range.max, kMax));
  }
}

ordered_json integer_schema(const Range& range) {
  ordered_json schema = {{"type", "integer"}};
  add_range(schema, range);
  return schema;
}

// What checked_value (host/config_value.h) accepts as one value of this key.
ordered_json one_value_schema(const KeySpec& key) {
  ordered_json schema;
  switch (key.type) {
    case KeyType::kInteger:
      schema = integer_schema(key.range);
      break;
    case KeyType::kSeed:
      schema = {{"type", "integer"}, {"minimum", 0}, {"maximum", UINT64_MAX}};
      break;
    case KeyType::kNumber:
      schema = {{"type", "number"}};
      add_range(schema, key.range);
      break;
    case KeyType::kWord:
      schema = {{"type", "string"}, {"enum", key.words}};
      break;
    case KeyType::kWordList:
      schema = {{"type", "array"},
                {"items", {{"type", "string"}, {"enum", key.words}}},
                {"uniqueItems", true}};
      break;
    case KeyType::kText:
      schema = {{"type", "string"}};
      // Python's $ is also true before a newline at the end.
      if (!key.pattern.empty()) schema["pattern"] = "^(" + key.pattern + ")$(?!\\n)";
      break;
    case KeyType::kIntegerList:
      schema = {
          {"type", "array"}, {"items", integer_schema(key.range)}, {"maxItems", key.max_items}};
      break;
    case KeyType::kObject:
      schema = {{"type", "object"}};
      break;
  }
  if (key.nullable) {
    schema["type"] = {schema["type"], "null"};
    if (schema.contains("enum")) schema["enum"].push_back(nullptr);
  }
  return schema;
}

ordered_json value_schema(const KeySpec& key) {
  const ordered_json one = one_value_schema(key);
  if (!key.per_agent) return one;
  ordered_json distributions = ordered_json::object();
  for (const std::string& name : distributions_of(key)) {
    distributions[name] = {{"type", "array"},
                           {"items", one_value_schema(number_in(key, name))},
                           {"minItems", name == "choice" ? 1 : 2}};
    if (name != "choice") distributions[name]["maxItems"] = 2;
  }
  return {{"anyOf",
           {one,
            {{"type", "array"}, {"items", one}},
            {{"type", "object"},
             {"properties", distributions},
             {"additionalProperties", false},
             {"minProperties", 1},
             {"maxProperties", 1}}}}};
}

// `defaults` has the environment of which the key may be a parameter.
ordered_json key_schema(const KeySpec& key, const Config& defaults) {
  ordered_json schema = {{"description", meaning_text(key) + "; allowed: " + allowed_text(key)}};
  // A default that another key decides is said in words; with env.id all those of "env" are known.
  if (key.default_text.empty() || key.path.rfind("/env/", 0) == 0) {
    schema["default"] = key.get(defaults);
  } else {
    schema["description"] =
        schema["description"].get<std::string>() + "; default: " + key.default_text;
  }
  schema.update(value_schema(key));
  return schema;
}

// The object at `prefix` ("" or "/ddpg") with all that stands in it.
ordered_json object_schema(const std::vector<KeySpec>& keys, const std::string& prefix,
                           const Config& defaults) {
  const std::string start = prefix + "/";
  ordered_json properties = ordered_json::object();
  for (const KeySpec& key : keys) {
    if (key.path.rfind(start, 0) != 0) continue;
    const std::string rest = key.path.substr(start.size());
    const std::string name = rest.substr(0, rest.find('/'));
    if (properties.contains(name)) continue;
    properties[name] =
        name == rest ? key_schema(key, defaults) : object_schema(keys, start + name, defaults);
  }
  return {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
}

// One branch for each environment. Without "id" that of the default holds, with a wrong one none:
// the wrong id is the one mistake to show.
ordered_json env_schema(const ordered_json& id) {
  const std::string by_default = Config{}.env.id;
  ordered_json branches = ordered_json::array();
  for (const EnvironmentInfo& env : environments()) {
    const std::string text = ordered_json{{"env", {{"id", env.id}}}}.dump();
    ordered_json condition = {{"properties", {{"id", {{"const", env.id}}}}}};
    if (env.id != by_default) condition["required"] = ordered_json::array({"id"});
    branches.push_back(
        {{"if", condition},
         {"then", object_schema(config_keys(&env), "/env", parse_config(text, "defaults"))}});
  }
  return {{"type", "object"}, {"properties", {{"id", id}}}, {"allOf", branches}};
}

}  // namespace

ordered_json config_schema() {
  std::vector<KeySpec> keys = {schema_key()};
  for (KeySpec& key : config_keys(nullptr)) keys.push_back(std::move(key));
  ordered_json schema = {
      {"$schema", "https://json-schema.org/draft/2020-12/schema"},
      {"title", "A config of Pendula"},
      {"description",
       "All keys may be left out. What must hold between keys is not in this schema; `pendula "
       "config check` sees it too."}};
  schema.update(object_schema(keys, "", parse_config("{}", "defaults")));
  ordered_json& env = schema["properties"]["env"];
  env = env_schema(env["properties"]["id"]);
  return schema;
}

}  // namespace pendula
