#include "base/check.h"

int main() { return 0; }
