#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace headgate {

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "headgate: %s:%d: this condition does not hold: %s\n", file, line, expression);
  std::abort();
}

}  // namespace headgate
