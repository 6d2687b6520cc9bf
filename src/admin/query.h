#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace headgate {

/// The parameters of a request's query: names to values, percent-decoded, '+' being a space.
using Query = std::map<std::string, std::string, std::less<>>;

/// What '+' stands for: itself in a path, a space in a query.
enum class Plus : unsigned char { kPlus, kSpace };
/// Errors: kMalformed for a bad percent escape.
[[nodiscard]] Result<std::string> percent_decoded(std::string_view text, Plus plus);

/// Parses "level=debug&listener=web". Pure; any thread.
///
/// Errors: kMalformed, with a sentence for the sender of the request: a bad percent escape, a name without
/// '=', a name given twice.
[[nodiscard]] Result<Query> parse_query(std::string_view text);

}  // namespace headgate
