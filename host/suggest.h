// "did you mean ...?": the known words nearest to a misspelt one.
#pragma once

#include <string>
#include <vector>

namespace pendula {

// Edits that turn a into b: insert, delete or replace a letter, or swap two neighbours (the optimal
// string alignment form of Damerau-Levenshtein). Compares bytes, capitals as small letters.
int edit_distance(const std::string& a, const std::string& b);

// Those of `known` with the fewest edits to `word`, if that is at most `max_edits`; else none.
// In the order of `known`, at most three.
std::vector<std::string> nearest(const std::string& word, const std::vector<std::string>& known,
                                 int max_edits);

// Edits that a typing mistake in `word` may have: 1 for a short word, up to 3 for a long one.
int plausible_edits(const std::string& word);

// `; did you mean "a" or "b"?`, or nothing where there are no candidates.
std::string did_you_mean(const std::vector<std::string>& candidates);

}  // namespace pendula
