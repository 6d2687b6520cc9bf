#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headgate::config {

/// The candidate that `word` was most likely meant to be: the one with the fewest letters added, left out,
/// changed or swapped, if these are few compared with its length. Nothing if no candidate is like the word,
/// or if there are too many candidates to compare.
[[nodiscard]] std::optional<std::string> nearest(std::string_view word,
                                                 const std::vector<std::string>& candidates);

/// `; did you mean "bind"?`, or nothing.
[[nodiscard]] std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

/// "a, b and c".
[[nodiscard]] std::string enumeration(const std::vector<std::string>& words, std::string_view conjunction);

}  // namespace headgate::config
