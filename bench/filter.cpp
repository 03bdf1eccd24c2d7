#include "bench/filter.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/error.h"
#include "host/suggest.h"

namespace pendula {
namespace {

std::string text_of(const Keys& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string::npos) return parts;
    begin = end + 1;
  }
}

Keys row_keys(const Case& c, const Quantity& q) {
  Keys keys = c.keys;
  keys["metric"] = q.metric;
  return keys;
}

bool accepts(const Filter& filter, const Keys& keys) {
  return std::all_of(filter.begin(), filter.end(), [&](const auto& wanted) {
    const auto found = keys.find(wanted.first);
    return found != keys.end() && std::find(wanted.second.begin(), wanted.second.end(),
                                            text_of(*found)) != wanted.second.end();
  });
}

void add_once(std::vector<std::string>& all, const std::string& one) {
  if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
}

// Throws where a key or a value of the filter is in no row.
void check_filter(const Filter& filter, const std::vector<Case>& cases) {
  std::vector<std::string> keys;
  std::map<std::string, std::vector<std::string>> values;
  for (const Case& c : cases) {
    for (const Quantity& q : c.quantities) {
      const Keys row = row_keys(c, q);
      for (const auto& [key, value] : row.items()) {
        add_once(keys, key);
        add_once(values[key], text_of(value));
      }
    }
  }
  for (const auto& [key, wanted] : filter) {
    if (values.count(key) == 0) {
      throw Error(ExitCode::kUsage,
                  fmt::format("--filter: no row has a \"{}\"{}; rows have {}", key,
                              did_you_mean(nearest(key, keys, plausible_edits(key))),
                              fmt::join(keys, ", ")));
    }
    for (const std::string& value : wanted) {
      const std::vector<std::string>& there = values[key];
      if (std::find(there.begin(), there.end(), value) != there.end()) continue;
      throw Error(ExitCode::kUsage, fmt::format("--filter: no row has {}={}; {} may be {}", key,
                                                value, key, fmt::join(there, ", ")));
    }
  }
}

}  // namespace

Filter parse_filter(const std::vector<std::string>& texts) {
  Filter filter;
  for (const std::string& text : texts) {
    for (const std::string& term : split(text, ',')) {
      const size_t equals = term.find('=');
      if (equals == std::string::npos || equals == 0 || equals + 1 == term.size()) {
        throw Error(
            ExitCode::kUsage,
            fmt::format("--filter: \"{}\" is not KEY=VALUE, e.g. network=2x64,batch=100|128",
                        term));
      }
      for (const std::string& value : split(term.substr(equals + 1), '|')) {
        add_once(filter[term.substr(0, equals)], value);
      }
    }
  }
  return filter;
}

std::vector<Case> apply_filter(const Filter& filter, std::vector<Case> cases) {
  check_filter(filter, cases);
  for (Case& c : cases) {
    c.quantities.erase(
        std::remove_if(c.quantities.begin(), c.quantities.end(),
                       [&](const Quantity& q) { return !accepts(filter, row_keys(c, q)); }),
        c.quantities.end());
  }
  cases.erase(std::remove_if(cases.begin(), cases.end(),
                             [](const Case& c) { return c.quantities.empty(); }),
              cases.end());
  if (cases.empty()) {
    throw Error(ExitCode::kUsage,
                "--filter: no row has all of these keys and values at once; `pendula bench --list` "
                "names the rows");
  }
  return cases;
}

}  // namespace pendula
