#include "host/unknown_key.h"

#include <algorithm>

#include "host/agent_values.h"
#include "host/distribution.h"
#include "host/suggest.h"

namespace pendula {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// The names of the keys and sections that stand directly in the object at `prefix`.
std::vector<std::string> names_in(const std::vector<KeySpec>& keys, const std::string& prefix) {
  std::vector<std::string> names;
  const std::string start = prefix + "/";
  for (const KeySpec& key : keys) {
    if (key.path.rfind(start, 0) != 0) continue;
    const std::string rest = key.path.substr(start.size());
    const std::string name = rest.substr(0, rest.find('/'));
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

// The keys of all objects, as "ddpg.gamma", whose last name is `max_edits` or fewer from `word`.
std::vector<std::string> nearest_anywhere(const std::vector<KeySpec>& keys, const std::string& word,
                                          int max_edits) {
  std::vector<std::string> last_names;
  for (const KeySpec& key : keys) {
    const std::string name = key.path.substr(key.path.rfind('/') + 1);
    if (std::find(last_names.begin(), last_names.end(), name) == last_names.end()) {
      last_names.push_back(name);
    }
  }
  std::vector<std::string> found;
  for (const std::string& name : nearest(word, last_names, max_edits)) {
    for (const KeySpec& key : keys) {
      if (key.path.substr(key.path.rfind('/') + 1) == name) found.push_back(dotted(key.path));
    }
  }
  return found;
}

// The ids of the environments with a parameter of that name.
std::string environments_with(const std::string& param) {
  std::string ids;
  for (const EnvironmentInfo& env : environments()) {
    for (const EnvParam& p : env.params) {
      if (p.name == param) ids += (ids.empty() ? "\"" : ", \"") + env.id + '"';
    }
  }
  return ids;
}

}  // namespace

bool is_section(const std::vector<KeySpec>& keys, const std::string& path) {
  const std::string start = path + "/";
  return std::any_of(keys.begin(), keys.end(),
                     [&](const KeySpec& key) { return key.path.rfind(start, 0) == 0; });
}

std::string unknown_key_text(const std::vector<KeySpec>& keys, const std::string& prefix,
                             const std::string& word, const std::string& env_id) {
  if (prefix == "/env") {
    const std::string ids = environments_with(word);
    if (!ids.empty()) return "unknown key; a parameter of " + ids + ", not of \"" + env_id + '"';
  }
  if (is_distribution(word)) {
    return "unknown key; a distribution stands in the place of a number that may differ between "
           "agents: " +
           joined(keys_that_may_differ());
  }
  const std::vector<std::string> here = names_in(keys, prefix);
  const int edits = plausible_edits(word);
  // From the most to the least likely mistake: a slip of the finger, the wrong object, a word half
  // remembered, both.
  std::vector<std::string> candidates = nearest(word, here, 1);
  if (candidates.empty()) candidates = nearest_anywhere(keys, word, 0);
  if (candidates.empty()) candidates = nearest(word, here, edits);
  if (candidates.empty()) candidates = nearest_anywhere(keys, word, edits);
  if (!candidates.empty()) return "unknown key" + did_you_mean(candidates);
  return "unknown key; known here: " + joined(here);
}

}  // namespace pendula
