#include "supervisor/inherited_counters.h"

#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

namespace headgate {
namespace {

/// No worker has this index.
constexpr int kInheritedIndex = std::numeric_limits<int>::min();

/// Calls `visit` with the name and the counter of each value that is carried on.
template <class Metrics, class Visit>
void for_each_counter(Metrics& metrics, const Visit& visit) {
  visit("accepted", metrics.accepted);
  for (std::size_t i = 0; i < kCloseReasonCount; ++i) {
    const auto reason = static_cast<CloseReason>(i);
    if (reason != CloseReason::kMoved) visit("closed." + std::string(name(reason)), metrics.closed[i]);
  }
  for (std::size_t i = 0; i < kDirectionCount; ++i) {
    const std::string direction(name(static_cast<Direction>(i)));
    visit("bytes." + direction, metrics.bytes[i]);
    visit("spliced_bytes." + direction, metrics.spliced_bytes[i]);
  }
  for (std::size_t i = 0; i < kSpliceEventCount; ++i) {
    visit("splice_events." + std::string(name(static_cast<SpliceEvent>(i))), metrics.splice_events[i]);
  }
  for (std::size_t i = 0; i < kHandshakeResultCount; ++i) {
    const std::string result = "handshakes." + std::string(name(static_cast<HandshakeResult>(i)));
    visit(result + ".full", metrics.handshakes[i][0]);
    visit(result + ".resumed", metrics.handshakes[i][1]);
  }
}

struct Line {
  std::string_view name;
  std::uint64_t value = 0;
  std::string_view listener;
};

std::optional<Line> parse(std::string_view text) {
  const auto name_end = text.find(' ');
  if (name_end == text.npos) return std::nullopt;
  Line line;
  line.name = text.substr(0, name_end);
  const std::string_view rest = text.substr(name_end + 1);
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), line.value);
  if (error != std::errc()) return std::nullopt;
  const auto digits = static_cast<std::size_t>(end - rest.data());
  if (digits < rest.size()) line.listener = rest.substr(digits + 1);
  return line;
}

void inherit_for_process(const Line& line, ProcessState& state) {
  constexpr std::string_view kHandover = "handover.";
  if (line.name == "reloads.ok") state.reload.ok += line.value;
  if (line.name == "reloads.partly") state.reload.partly += line.value;
  if (line.name == "reloads.failed") state.reload.failed += line.value;
  if (line.name == "handovers.ok") state.handovers_ok += line.value;
  if (line.name == "handovers.failed") state.handovers_failed += line.value;
  if (!line.name.starts_with(kHandover)) return;
  const std::string_view labels = line.name.substr(kHandover.size());
  const auto dot = labels.find('.');
  if (dot == labels.npos) return;
  state.handover[{std::string(labels.substr(0, dot)), std::string(labels.substr(dot + 1))}] += line.value;
}

}  // namespace

std::vector<std::string> counters_to_leave(const MetricsRegistry& registry, const ProcessState& state) {
  std::map<std::string, std::uint64_t> sums;  // by "name listener"; the value goes in between
  for (const auto& entry : registry.listeners()) {
    for_each_counter(*entry.metrics, [&](const std::string& name, const Counter& counter) {
      sums[name + ' ' + entry.listener] += counter.value();
    });
  }
  std::vector<std::string> lines;
  for (const auto& [key, sum] : sums) {
    if (sum == 0) continue;
    const auto space = key.find(' ');
    lines.push_back(key.substr(0, space) + ' ' + std::to_string(sum) + key.substr(space));
  }
  lines.push_back("reloads.ok " + std::to_string(state.reload.ok));
  lines.push_back("reloads.partly " + std::to_string(state.reload.partly));
  lines.push_back("reloads.failed " + std::to_string(state.reload.failed));
  lines.push_back("handovers.ok " + std::to_string(state.handovers_ok));
  lines.push_back("handovers.failed " + std::to_string(state.handovers_failed));
  for (const auto& [labels, count] : state.handover) {
    lines.push_back("handover." + labels.first + '.' + labels.second + ' ' + std::to_string(count));
  }
  return lines;
}

void inherit_counters(const std::vector<std::string>& lines, MetricsRegistry& registry, StateBoard& board) {
  std::map<std::pair<std::string, std::string>, std::uint64_t> values;  // by listener and name
  for (const auto& text : lines) {
    const auto line = parse(text);
    if (!line) continue;
    if (line->listener.empty()) {
      board.update([&](ProcessState& state) { inherit_for_process(*line, state); });
    } else {
      values[{std::string(line->listener), std::string(line->name)}] = line->value;
    }
  }
  for (auto at = values.begin(); at != values.end();) {
    const std::string listener = at->first.first;
    for_each_counter(registry.listener(kInheritedIndex, listener),
                     [&](const std::string& name, Counter& counter) {
                       if (const auto found = values.find({listener, name}); found != values.end())
                         counter.add(found->second);
                     });
    while (at != values.end() && at->first.first == listener) ++at;
  }
}

}  // namespace headgate
