#include "bench/case.h"

namespace pendula {

bool has_keys(const Keys& keys, const Keys& part) {
  for (const auto& [key, value] : part.items()) {
    const auto found = keys.find(key);
    if (found == keys.end() || *found != value) return false;
  }
  return true;
}

std::string row_text(const Keys& keys) {
  std::string text;
  for (const auto& [key, value] : keys.items()) {
    if (key == "suite" || key == "backend" || key == "metric") continue;
    const std::string word = value.is_string() ? value.get<std::string>() : value.dump();
    if (!text.empty()) text += ' ';
    text += key == "case" ? word : key + "=" + word;
  }
  return text;
}

}  // namespace pendula
