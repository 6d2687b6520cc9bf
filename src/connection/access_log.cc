#include "connection/access_log.h"

#include <array>
#include <chrono>
#include <optional>

namespace headgate {
namespace {

/// The fields of one line; those without a value are left out.
class Fields {
 public:
  void text(std::string_view key, std::string_view value) {
    if (!value.empty()) add(key, value);
  }
  void number(std::string_view key, std::int64_t value) { add(key, value); }
  [[nodiscard]] std::span<const LogField> all() const { return std::span(fields_).first(count_); }

 private:
  template <class T>
  void add(std::string_view key, T value) {
    fields_[count_++] = {key, value};
  }
  std::array<LogField, 24> fields_{};
  std::size_t count_ = 0;
};

double milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

/// Whether a line about this end is wanted. `own` is the level of the connection where it has one of its own:
/// it then decides instead of the process's level and `log.access`.
bool is_wanted(const Services& services, LogLevel level, std::optional<LogLevel> own) {
  if (own) return level <= *own;
  if (!services.log.enabled(level)) return false;
  if (services.access == config::AccessLog::kOff) return false;
  if (services.access == config::AccessLog::kAll) return true;
  return level == LogLevel::kWarn;
}

}  // namespace

void write_access_line(Services& services, const ListenerState& listener, const ConnectionInfo& info,
                       std::string_view phase, CloseReason reason, TimePoint now) {
  const CloseReasonRow& how = row(reason);
  const bool failure = how.weight == CloseWeight::kFailure && !info.probe;
  const LogLevel level = failure ? LogLevel::kWarn : LogLevel::kInfo;
  const std::string& name_of_listener = listener.policy->config.name;
  const auto own = services.levels.find(name_of_listener, info.client, now);
  if (!is_wanted(services, level, own)) return;
  const bool limited = how.weight == CloseWeight::kFailure && own != LogLevel::kDebug;
  if (limited && !services.limiter.admit(name_of_listener, how.name, now)) {
    listener.metrics->log_lines_dropped.add();
    return;
  }
  const std::string source = info.client.address().text();
  Fields fields;
  fields.number("id", static_cast<std::int64_t>(info.id));
  fields.text("listener", name_of_listener);
  fields.text("source", source);
  fields.text("reason", how.name);
  fields.text("side", name(how.side));
  fields.text("phase", phase);
  if (info.failure != HandshakeFailure::kNone) fields.text("failure", name(info.failure));
  if (info.alert >= 0) fields.number("alert", info.alert);
  fields.text("sni", info.server_name.view());
  fields.text("version", info.tls->version.view());
  fields.text("group", info.tls->group.view());
  fields.text("cipher", info.tls->cipher.view());
  fields.text("alpn", info.alpn.view());
  if (!info.tls->version.empty()) fields.text("resumed", info.tls->resumed ? "true" : "false");
  if (info.peer) fields.text("peer", info.peer->short_name());
  fields.text("backend", info.backend.view());
  fields.text("server", info.server.view());
  fields.number("bytes_from_client", static_cast<std::int64_t>(info.bytes_from_client));
  fields.number("bytes_to_client", static_cast<std::int64_t>(info.bytes_to_client));
  fields.number("duration_ms", static_cast<std::int64_t>(milliseconds(now - info.accepted)));
  fields.text("detail", info.detail.view());
  services.log.write_always(level, "connection ended", fields.all());
}

void write_phase_line(Services& services, const ListenerState& listener, const ConnectionInfo& info,
                      std::string_view phase, TimePoint now) {
  const std::string& name_of_listener = listener.policy->config.name;
  const auto own = services.levels.find(name_of_listener, info.client, now);
  if (own ? *own != LogLevel::kDebug : !services.log.enabled(LogLevel::kDebug)) return;
  const std::string source = info.client.address().text();
  Fields fields;
  fields.number("id", static_cast<std::int64_t>(info.id));
  fields.text("listener", name_of_listener);
  fields.text("source", source);
  fields.text("phase", phase);
  fields.text("sni", info.server_name.view());
  fields.text("version", info.tls->version.view());
  fields.text("backend", info.backend.view());
  fields.text("server", info.server.view());
  fields.number("after_ms", static_cast<std::int64_t>(milliseconds(now - info.accepted)));
  services.log.write_always(LogLevel::kDebug, "connection entered a phase", fields.all());
}

}  // namespace headgate
