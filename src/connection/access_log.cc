#include "connection/access_log.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <span>

#include "base/hex.h"

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
  std::array<LogField, 29> fields_{};
  std::size_t count_ = 0;
};

double in_milliseconds(Duration duration) {
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

/// Whether the limit on failure lines lets a line of this kind through. Counts one that it does not.
bool is_admitted(Services& services, const ListenerState& listener, std::string_view kind, TimePoint now) {
  if (services.limiter.admit(listener.policy->config.name, kind, now)) return true;
  listener.metrics->log_lines_dropped.add();
  return false;
}

/// The fields that each line begins with. `source` outlives them.
Fields fields_of(const ListenerState& listener, const ConnectionInfo& info, const std::string& source) {
  Fields fields;
  fields.number("id", static_cast<std::int64_t>(info.id));
  fields.text("listener", listener.policy->config.name);
  fields.text("source", source);
  return fields;
}

/// The UNIQUE_ID of the PROXY header, in hexadecimal where it is no plain text.
std::string proxy_id_of(const ConnectionInfo& info) {
  if (info.proxied() == nullptr) return {};
  const std::string& id = info.proxied()->unique_id;
  const bool plain = std::ranges::all_of(id, [](char c) { return c > 0x20 && c < 0x7f; });
  return plain ? id : hex_of(std::as_bytes(std::span(id)));
}

}  // namespace

void write_access_line(Services& services, const ListenerState& listener, const ConnectionInfo& info,
                       std::string_view phase, CloseReason reason, TimePoint now) {
  const CloseReasonRow& how = row(reason);
  const bool failure = how.weight == CloseWeight::kFailure && !info.probe;
  const LogLevel level = failure ? LogLevel::kWarn : LogLevel::kInfo;
  const auto own = services.levels.find(listener.policy->config.name, info.client, now);
  if (!is_wanted(services, level, own)) return;
  const bool limited = how.weight == CloseWeight::kFailure && own != LogLevel::kDebug;
  if (limited && !is_admitted(services, listener, how.name, now)) return;
  const std::string source = info.client.address().text();
  Fields fields = fields_of(listener, info, source);
  fields.text("reason", how.name);
  fields.text("side", name(how.side));
  fields.text("phase", phase);
  if (info.failure != HandshakeFailure::kNone) fields.text("failure", name(info.failure));
  if (info.alert >= 0) fields.number("alert", info.alert);
  fields.text("sni", info.server_name.view());
  fields.text("ja4", info.ja4());
  fields.text("version", info.tls->version.view());
  fields.text("group", info.tls->group.view());
  fields.text("cipher", info.tls->cipher.view());
  fields.text("alpn", info.alpn.view());
  if (!info.tls->version.empty()) fields.text("resumed", info.tls->resumed ? "true" : "false");
  if (info.peer) fields.text("peer", info.peer->short_name());
  const std::string proxy_id = proxy_id_of(info);
  fields.text("proxy_id", proxy_id);
  if (const PrivateLink* link = info.link()) {
    fields.text("aws_vpc_endpoint", link->aws_vpc_endpoint);
    fields.text("azure_private_link", link->azure_private_link);
    fields.text("gcp_psc_connection", link->gcp_psc_connection);
  }
  fields.text("backend", info.backend.view());
  fields.text("server", info.server.view());
  fields.number("bytes_from_client", static_cast<std::int64_t>(info.bytes_from_client));
  fields.number("bytes_to_client", static_cast<std::int64_t>(info.bytes_to_client));
  fields.number("duration_ms", static_cast<std::int64_t>(in_milliseconds(now - info.accepted)));
  fields.text("detail", info.detail.view());
  services.log.write_always(level, "connection ended", fields.all());
}

void write_phase_line(Services& services, const ListenerState& listener, const ConnectionInfo& info,
                      std::string_view phase, TimePoint now) {
  const auto own = services.levels.find(listener.policy->config.name, info.client, now);
  if (own ? *own != LogLevel::kDebug : !services.log.enabled(LogLevel::kDebug)) return;
  const std::string source = info.client.address().text();
  Fields fields = fields_of(listener, info, source);
  fields.text("phase", phase);
  fields.text("sni", info.server_name.view());
  fields.text("version", info.tls->version.view());
  fields.text("backend", info.backend.view());
  fields.text("server", info.server.view());
  fields.number("after_ms", static_cast<std::int64_t>(in_milliseconds(now - info.accepted)));
  services.log.write_always(LogLevel::kDebug, "connection entered a phase", fields.all());
}

void write_dry_run_line(Services& services, const ListenerState& listener, const ConnectionInfo& info,
                        const Authorization& refusal, TimePoint now) {
  const auto own = services.levels.find(listener.policy->config.name, info.client, now);
  if (own ? *own < LogLevel::kWarn : !services.log.enabled(LogLevel::kWarn)) return;
  if (!is_admitted(services, listener, "dry_run", now)) return;
  const std::string source = info.client.address().text();
  Fields fields = fields_of(listener, info, source);
  fields.text("policy", "client_auth");
  fields.text("failure", name(refusal.why));
  fields.text("sni", info.server_name.view());
  if (info.peer) fields.text("peer", info.peer->short_name());
  fields.text("detail", refusal.detail);
  services.log.write_always(LogLevel::kWarn, "let in by a dry run", fields.all());
}

}  // namespace headgate
