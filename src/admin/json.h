#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "admin/admin_source.h"

/// Writes the answers of the admin endpoint as JSON (RFC 8259). Times are RFC 3339 in UTC, durations seconds.
/// A client's bytes that are not UTF-8 become U+FFFD. docs/admin.md says what each field is.
namespace headgate {

/// `certificates`: the most certificates to show, of which those that expire first are shown.
[[nodiscard]] std::string to_json(const StatusReport& report, const Health& ready, WallTime now,
                                  std::size_t certificates);
[[nodiscard]] std::string to_json(const ConnectionsPage& page, const ConnectionsQuery& query);
[[nodiscard]] std::string to_json(const RecordedHandshakes& handshakes);
/// One list for each number, all of one length, since a client draws them.
[[nodiscard]] std::string to_json(const std::vector<HistoryStep>& steps, WallTime now);
[[nodiscard]] std::string to_json(const Outcome& outcome);
/// `{"error": what}`.
[[nodiscard]] std::string error_json(std::string_view what);

}  // namespace headgate
