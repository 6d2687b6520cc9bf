#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

#include "lives/life.h"

// A whole connection in its relay phase: the input says how both sides speak, what they send, legal or not,
// how they read and end, and what happens to the connection meanwhile. Then the model of tests/lives says
// whether each peer got what it had to get. A life that leaves a descriptor open aborts by itself.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace headgate::lives;
  static World world;
  Chance chance(std::span(data, size));
  const Script script = make_up(chance);
  const std::string differences = world.live(script, chance);
  if (differences.empty()) return 0;
  std::fprintf(stderr, "%s%s", text_of(script).c_str(), differences.c_str());
  std::abort();
}
