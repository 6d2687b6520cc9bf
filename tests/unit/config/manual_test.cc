#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "checkout/checkout.h"
#include "config/known_keys.h"

namespace headgate::config {
namespace {

std::string manual() {
  std::ifstream file(in_checkout("docs/configuration.md"));
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The last word of a key's path, without a list's brackets.
std::string last_word(const std::string& path) {
  const std::string word = path.substr(path.rfind('.') + 1);
  return word.ends_with("[]") ? word.substr(0, word.size() - 2) : word;
}

TEST(Manual, NamesEveryKey) {
  const std::string text = manual();
  for (const KnownKey& key : known_keys()) {
    const std::string word = last_word(key.path);
    const bool named = text.find('`' + word + '`') != text.npos || text.find('.' + word + '`') != text.npos;
    EXPECT_TRUE(named) << key.path << " is not in docs/configuration.md";
  }
}

}  // namespace
}  // namespace headgate::config
