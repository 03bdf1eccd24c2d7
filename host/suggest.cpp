#include "host/suggest.h"

#include <algorithm>

namespace pendula {
namespace {

char small(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

int edit_distance(const std::string& a, const std::string& b) {
  const size_t rows = a.size() + 1;
  const size_t columns = b.size() + 1;
  // d[i][j]: edits from the first i letters of a to the first j letters of b
  std::vector<std::vector<int>> d(rows, std::vector<int>(columns));
  for (size_t i = 0; i < rows; ++i) d[i][0] = static_cast<int>(i);
  for (size_t j = 0; j < columns; ++j) d[0][j] = static_cast<int>(j);
  for (size_t i = 1; i < rows; ++i) {
    for (size_t j = 1; j < columns; ++j) {
      const int replaced = small(a[i - 1]) == small(b[j - 1]) ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + replaced});
      const bool swapped = i > 1 && j > 1 && small(a[i - 1]) == small(b[j - 2]) &&
                           small(a[i - 2]) == small(b[j - 1]);
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[rows - 1][columns - 1];
}

std::vector<std::string> nearest(const std::string& word, const std::vector<std::string>& known,
                                 int max_edits) {
  constexpr size_t kMaxLength = 64;  // no key is that long; a longer word is no misspelling
  constexpr size_t kMaxCandidates = 3;
  std::vector<std::string> best;
  if (word.size() > kMaxLength) return best;
  int fewest = max_edits;
  for (const std::string& candidate : known) {
    const int edits = edit_distance(word, candidate);
    if (edits > fewest) continue;
    if (edits < fewest) best.clear();
    fewest = edits;
    if (best.size() < kMaxCandidates) best.push_back(candidate);
  }
  return best;
}

int plausible_edits(const std::string& word) {
  if (word.size() <= 3) return 1;
  return word.size() <= 8 ? 2 : 3;
}

std::string did_you_mean(const std::vector<std::string>& candidates) {
  if (candidates.empty()) return "";
  std::string text = "; did you mean ";
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (i > 0) text += " or ";
    text += '"' + candidates[i] + '"';
  }
  return text + "?";
}

}  // namespace pendula
