#pragma once

#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/close_reason.h"

namespace headgate {

/// Writes "label: what", a line of `headgate explain`, to stdout.
inline void say(std::string_view label, std::string_view what) {
  std::cout << label << ": " << what << '\n';
}

/// Writes the end of a refused connection: the word that its log line and metric will have.
inline void refuse(CloseReason reason, std::string_view why) {
  std::cout << "refused: " << name(reason) << ": " << why << '\n';
}

/// The words with commas between them.
[[nodiscard]] inline std::string joined(std::span<const std::string> words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : ", ").append(word);
  return text;
}

}  // namespace headgate
