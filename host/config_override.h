// `path=value` overrides, laid over the tree of a config file before it is checked.
#pragma once

#include <string>
#include <vector>

#include "host/config_value.h"
#include "host/json_reader.h"

namespace pendula {

// Lays each override over `root`, in order: "ddpg.gamma=0.98", "actor.hidden=[400,300]",
// "stop.seconds=null". The value is JSON; what is not JSON is a string, so that "env.id=pendulum"
// needs no quotes. An object adds to the file's object; everything else, and a
// distribution, replaces. All that comes
// from an override has the place "override ddpg.gamma=0.98". What is wrong is added to `problems`.
void apply_overrides(const std::vector<std::string>& overrides, JsonValue& root,
                     std::vector<ConfigProblem>& problems);

}  // namespace pendula
