#include "host/config_override.h"

#include <nlohmann/json.hpp>

#include "host/agent_values.h"
#include "host/config_table.h"
#include "host/distribution.h"

namespace pendula {
namespace {

// "ddpg.gamma" -> {"ddpg", "gamma"}. A part may be empty; the caller refuses that.
std::vector<std::string> split_path(const std::string& path) {
  std::vector<std::string> parts = {""};
  for (const char c : path) {
    if (c == '.') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::string pointer_of(const std::vector<std::string>& parts) {
  std::string pointer;
  for (const std::string& part : parts) pointer = json_pointer(pointer, part);
  return pointer;
}

void set_places(JsonValue& value, const std::string& place) {
  value.place = place;
  for (JsonValue& item : value.items) set_places(item, place);
  for (JsonMember& member : value.members) {
    member.place = place;
    set_places(member.value, place);
  }
}

JsonValue string_value(const std::string& text) {
  JsonValue value;
  value.scalar = text;
  value.text = '"' + text + '"';
  return value;
}

// `value` inside one object per part of the path.
JsonValue nested(const std::vector<std::string>& parts, JsonValue value) {
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    JsonValue object;
    object.kind = JsonValue::Kind::kObject;
    object.members.push_back({*part, "", std::move(value)});
    value = std::move(object);
  }
  return value;
}

// Whether an object at `pointer` is one value, and no keys to add to those that are there.
bool takes_distribution(const std::string& pointer) {
  static const std::vector<KeySpec> keys = config_keys(nullptr);
  const KeySpec* key = find_key(keys, pointer);
  return key != nullptr && key->per_agent;
}

void merge(JsonValue& into, JsonValue from, const std::string& pointer,
           std::vector<ConfigProblem>& problems) {
  if (from.kind != JsonValue::Kind::kObject || takes_distribution(pointer)) {
    into = std::move(from);
    return;
  }
  if (into.kind != JsonValue::Kind::kObject) {
    const bool distribution = from.members.size() == 1 && is_distribution(from.members[0].key);
    problems.push_back({from.place, pointer,
                        shown(into) + " (" + into.place +
                            ") is not an object and has no keys to override" +
                            (distribution ? "; " + one_for_all_text(pointer) : "")});
    return;
  }
  for (JsonMember& member : from.members) {
    JsonMember* old = nullptr;
    for (JsonMember& candidate : into.members) {
      if (candidate.key == member.key) old = &candidate;
    }
    if (old == nullptr) {
      into.members.push_back(std::move(member));
    } else {
      merge(old->value, std::move(member.value), json_pointer(pointer, member.key), problems);
    }
  }
}

}  // namespace

void apply_overrides(const std::vector<std::string>& overrides, JsonValue& root,
                     std::vector<ConfigProblem>& problems) {
  for (const std::string& text : overrides) {
    const std::string place = "override " + shown_text(text, 80);
    const size_t equals = text.find('=');
    const std::vector<std::string> parts = split_path(text.substr(0, equals));
    bool good = equals != std::string::npos;
    for (const std::string& part : parts) good = good && !part.empty();
    if (!good) {
      problems.push_back({place, "", "not of the form path=value, as ddpg.gamma=0.98"});
      continue;
    }
    const std::string value_text = text.substr(equals + 1);
    JsonDocument document = read_json(value_text, place);
    if (!document.is_json) document = {string_value(value_text), {}, true, true};
    for (const JsonProblem& problem : document.problems) {
      problems.push_back({place, pointer_of(parts), problem.text});
    }
    if (!document.complete) continue;
    JsonValue tree = nested(parts, std::move(document.root));
    set_places(tree, place);
    merge(root, std::move(tree), "", problems);
  }
}

}  // namespace pendula
