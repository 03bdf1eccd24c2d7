// What to say of a key that the table does not know.
#pragma once

#include <string>
#include <vector>

#include "host/config_table.h"

namespace pendula {

// Whether `path` is an object that holds keys, as "/ddpg".
bool is_section(const std::vector<KeySpec>& keys, const std::string& path);

// `unknown key; did you mean "gamma"?` for `word` in the object at `prefix` ("" or "/ddpg"). Names
// the nearest key of that object, or else the key of that name in another object
// (`"ddpg.gamma"`), or the environment that has the parameter.
std::string unknown_key_text(const std::vector<KeySpec>& keys, const std::string& prefix,
                             const std::string& word, const std::string& env_id);

}  // namespace pendula
