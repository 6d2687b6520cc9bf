#include "config/nearest.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace headgate::config {
namespace {

constexpr std::size_t kMostCandidates = 1000;  // comparing more takes too long for a hint
constexpr std::size_t kLongestWord = 64;       // no key is longer; the time is the product of the two lengths

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
std::size_t distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> before(right.size() + 1);
  std::vector<std::size_t> above(right.size() + 1);
  std::vector<std::size_t> row(right.size() + 1);
  for (std::size_t j = 0; j <= right.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= left.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= right.size(); ++j) {
      const std::size_t change = left[i - 1] == right[j - 1] ? 0 : 1;
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + change});
      const bool swapped = i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[right.size()];
}

}  // namespace

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates) {
  if (word.empty() || word.size() > kLongestWord || candidates.size() > kMostCandidates) return std::nullopt;
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t candidate_distance = distance(word, candidate);
    if (candidate_distance >= best_distance || candidate_distance >= candidate.size()) continue;
    best_distance = candidate_distance;
    best = candidate;
  }
  return best;
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  const auto meant = nearest(word, candidates);
  return meant ? "; did you mean \"" + *meant + "\"?" : "";
}

std::string enumeration(const std::vector<std::string>& words, std::string_view conjunction) {
  std::string text;
  for (std::size_t index = 0; index < words.size(); ++index) {
    if (index > 0) text += index + 1 == words.size() ? ' ' + std::string(conjunction) + ' ' : ", ";
    text += words[index];
  }
  return text;
}

}  // namespace headgate::config
