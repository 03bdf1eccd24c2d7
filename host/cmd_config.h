// `pendula config show|check|diff`, with the arguments already parsed. Results go to `out`,
// narration to `err`. Each returns the process's exit code.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

namespace pendula {

// Prints the resolved config, every key of it, as JSON and nothing else on `out`; what is rounded
// goes to `err` unless `quiet`. agent: of that agent alone, ready to train (host/agent_values.h).
// Throws Error as load_config does, and for an agent that there is not.
int config_show(const std::string& file, const std::vector<std::string>& overrides, bool quiet,
                std::ostream& out, std::ostream& err, std::optional<int64_t> agent = {});

// Checks every file, each with the overrides: "configs/x.json: ok" on `out`, problems and what is
// rounded on `err`. `json`: one object {"files": [{"file", "ok", "problems", "notes"}]} on `out`
// instead; a problem is {"kind", "place", "pointer", "text"}, of the kind "file" (cannot be read),
// "json" (not JSON, or none that we take), "value" (what a JSON Schema can refuse too) or
// "relation" (between values). `quiet`: no "ok" lines and no notes. Throws nothing; the code is 0,
// or that of the first file that failed.
int config_check(const std::vector<std::string>& files, const std::vector<std::string>& overrides,
                 bool json, bool quiet, std::ostream& out, std::ostream& err);

// Prints one line "ddpg.gamma: 0.99 -> 0.98" per key that differs; `json`: one object
// {"ddpg.gamma": [0.99, 0.98]}. Defaults are filled in first. 0 whether or not they differ. Throws
// Error as load_config does.
int config_diff(const std::string& file_a, const std::string& file_b, bool json, std::ostream& out);

}  // namespace pendula
