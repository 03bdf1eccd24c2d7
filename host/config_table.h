// The one table of all keys of a config. The reader, the writer, `config diff`, docs/config.md, the
// JSON Schema and the checks of single values all go through it; a new key is a member in
// host/config.h and a row in host/config_table.cpp.
#pragma once

#include <vector>

#include "host/config_key.h"
#include "host/environments.h"

namespace pendula {

// All keys in the order in which a config is written. The parameters of `env` (nullptr: none) are
// keys of "/env" after max_episode_steps.
std::vector<KeySpec> config_keys(const EnvironmentInfo* env);

// "$schema", which a file may have beside all keys: checked as they are, but no part of a Config. A
// path relative to the file would be wrong in a run's directory.
KeySpec schema_key();

}  // namespace pendula
