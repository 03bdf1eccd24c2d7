// Checks one value of a config against its row of the table.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/config_table.h"
#include "host/json_reader.h"

namespace pendula {

// One line of a config's error: "configs/x.json:8:20: /ddpg/gamma: 1.5 is not in [0, 1]".
struct ConfigProblem {
  enum class Kind {  // `config check --json` names them in this order
    kJson,           // the text is no JSON that we take
    kValue,          // a key or value is wrong by itself; a JSON Schema can say that too
    kRelation,       // values that are right by themselves do not go together
  };
  std::string place;    // "configs/x.json:8:20", "override ddpg.gamma=1.5"
  std::string pointer;  // "/ddpg/gamma"; may be empty
  std::string text;
  Kind kind = Kind::kValue;

  std::string line() const;
};

// The value in the form that KeySpec::set takes: of a key that may differ between agents also a
// list of any length or a distribution. What is wrong is added to `problems`; then the result is
// empty. Throws nothing.
std::optional<nlohmann::json> checked_value(const KeySpec& key, const JsonValue& value,
                                            std::vector<ConfigProblem>& problems);

}  // namespace pendula
