// The JSON Schema of a config, made from the table of keys.
#pragma once

#include <nlohmann/json.hpp>

namespace pendula {

// Draft 2020-12. It accepts what parse_config accepts, but for what no schema can say: relations
// between keys, and the text itself (duplicate keys, NULs, depth). Every default, range, word, unit
// and help of the table is in it; the keys of "env" are those of the environment that "id" names.
nlohmann::ordered_json config_schema();

}  // namespace pendula
