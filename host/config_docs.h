// docs/config.md, made from the table of keys.
#pragma once

#include <string>

namespace pendula {

// The whole page, ended by a newline. docs/config.md is this text; a test compares the two.
std::string config_markdown();

}  // namespace pendula
