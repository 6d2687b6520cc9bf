#pragma once

#include <string>

namespace headgate {

/// The path of a file of the checkout. The folder's name is compiled into one source alone, so that builds of
/// two checkouts share the compiler's cache.
std::string in_checkout(const std::string& file);

}  // namespace headgate
