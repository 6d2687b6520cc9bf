#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "lives/life.h"

// Lives many random lives of connections, and compares each with the model.
//
//   connection_lives [--lives N] [--seed S] [--keep-going] [--rows]
//
// S is the seed of the first life (1), and N the number of lives (1 with --seed, else 5,000). A life that
// differs is printed with its seed, and ends the program with 1. With --keep-going the program counts the
// differences, and prints the first life of each kind. With --rows it says how often each row of the table
// was tested. HEADGATE_LIVES and HEADGATE_LIFE_SEED are the same as the two options, for ctest.
namespace headgate::lives {
namespace {

struct Options {
  std::uint64_t first = 1, count = 5'000;
  bool keep_going = false, rows = false;
};

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    std::fprintf(stderr, "not a number: %.*s\n", static_cast<int>(text.size()), text.data());
    std::exit(2);
  }
  return value;
}

Options parse(int count, char** words) {
  Options options;
  if (const char* lives = std::getenv("HEADGATE_LIVES")) options.count = number(lives);
  bool counted = false;
  const auto begin_at = [&](std::string_view seed) {
    options.first = number(seed);
    if (!counted) options.count = 1;
  };
  if (const char* seed = std::getenv("HEADGATE_LIFE_SEED")) begin_at(seed);
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    if (word == "--keep-going") {
      options.keep_going = true;
    } else if (word == "--rows") {
      options.rows = true;
    } else if (word == "--lives" && i + 1 < count) {
      options.count = number(words[++i]);
      counted = true;
    } else if (word == "--seed" && i + 1 < count) {
      begin_at(words[++i]);
    } else {
      std::fprintf(stderr, "usage: %s [--lives N] [--seed S] [--keep-going] [--rows]\n", words[0]);
      std::exit(2);
    }
  }
  return options;
}

/// The first line of a difference without its numbers: differences of one kind have the same.
std::string kind_of(const std::string& differences) {
  std::string kind;
  for (const char c : differences.substr(0, differences.find('\n'))) {
    if (c < '0' || c > '9') kind += c;
  }
  return kind;
}

int live(const Options& options) {
  World world;
  std::map<std::string, std::uint64_t> kinds;
  std::uint64_t differing = 0;
  const auto began = std::chrono::steady_clock::now();
  for (std::uint64_t seed = options.first; seed < options.first + options.count; ++seed) {
    Chance chance(seed);
    const Script script = make_up(chance);
    const std::string differences = world.live(script, chance);
    if (differences.empty()) continue;
    ++differing;
    if (++kinds[kind_of(differences)] == 1) {
      std::printf("life %llu differs\n%s%s\n", static_cast<unsigned long long>(seed), text_of(script).c_str(),
                  differences.c_str());
    }
    if (!options.keep_going) break;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  for (const auto& [kind, count] : kinds)
    std::printf("%8llu %s\n", static_cast<unsigned long long>(count), kind.c_str());
  for (const auto& [row, count] : options.rows ? world.rows() : std::map<std::string, std::uint64_t>()) {
    std::printf("%8llu %s\n", static_cast<unsigned long long>(count), row.c_str());
  }
  std::printf("%llu lives in %.1f s, %llu with a difference\n",
              static_cast<unsigned long long>(options.count), took.count(),
              static_cast<unsigned long long>(differing));
  return differing > 0 ? 1 : 0;
}

}  // namespace
}  // namespace headgate::lives

int main(int count, char** words) {
  return headgate::lives::live(headgate::lives::parse(count, words));
}
