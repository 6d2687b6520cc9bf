#include "admin/json.h"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <utility>

#include <nlohmann/json.hpp>

#include "metrics/alert_name.h"

namespace headgate {
namespace {

using Json = nlohmann::ordered_json;

std::string text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string rfc3339(WallTime time) {
  const std::time_t unix_seconds = std::chrono::system_clock::to_time_t(time);
  std::tm utc{};
  ::gmtime_r(&unix_seconds, &utc);
  char written[32];
  return {written, std::strftime(written, sizeof written, "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

template <class Length>
double seconds(Length length) {
  return std::chrono::duration<double>(length).count();
}

Json listeners_json(const StatusReport& report) {
  Json all = Json::array();
  for (const ListenerReport& listener : report.process.listeners) {
    const auto found = report.listeners.find(listener.name);
    const ListenerTotals totals = found == report.listeners.end() ? ListenerTotals{} : found->second;
    all.push_back({{"name", listener.name},
                   {"bind", listener.bind},
                   {"tls", listener.tls},
                   {"backend", listener.backend},
                   {"draining", listener.draining},
                   {"accepted", totals.accepted},
                   {"active", totals.active},
                   {"bytes_from_client", totals.bytes_from_client},
                   {"bytes_to_client", totals.bytes_to_client},
                   {"handshakes_ok", totals.handshakes_ok},
                   {"handshakes_resumed", totals.handshakes_resumed},
                   {"handshakes_failed", totals.handshakes_failed}});
  }
  return all;
}

Json certificates_json(const StatusReport& report, WallTime now, std::size_t limit) {
  Json all = Json::array();
  for (const CertificateReport& one : soonest_expiring(report.process, limit)) {
    const double left_seconds = seconds(one.not_after - now);
    all.push_back({{"file", one.file},
                   {"names", one.names},
                   {"listener", one.listener},
                   {"key_type", one.key_type},
                   {"issuer", one.issuer},
                   {"not_before", rfc3339(one.not_before)},
                   {"not_after", rfc3339(one.not_after)},
                   {"days_left", std::floor(left_seconds / 86'400)},
                   {"expires_soon", now >= one.expires_soon_from},
                   {"fault", one.fault}});
  }
  return all;
}

Json canaries_json(const ProcessState& process) {
  const auto group = [](const CanaryReport::Group& counts) {
    return Json{{"ok", counts.ok}, {"failed", counts.failed}};
  };
  Json all = Json::array();
  for (const CanaryReport& one : process.canaries) {
    all.push_back({{"listener", one.listener},
                   {"file", one.file},
                   {"state", one.went_back ? "held_back" : "comparing"},
                   {"percent", one.percent},
                   {"started", rfc3339(one.started)},
                   {"handshakes_with_new", group(one.with_new)},
                   {"handshakes_with_old", group(one.with_old)},
                   {"sources_with_new", group(one.sources_with_new)},
                   {"sources_with_old", group(one.sources_with_old)}});
  }
  return all;
}

Json servers_json(const StatusReport& report, const BackendReport& backend) {
  Json all = Json::array();
  for (const ServerReport& server : backend.servers) {
    const auto found = report.servers.find({backend.name, server.address});
    const ServerTotals totals = found == report.servers.end() ? ServerTotals{} : found->second;
    all.push_back({{"address", server.address},
                   {"up", server.up},
                   {"reason", server.reason},
                   {"since", rfc3339(server.since)},
                   {"weight", server.weight},
                   {"share", server.share},
                   {"active", totals.active},
                   {"connect_failures", totals.connect_failures},
                   {"spares", totals.spares},
                   {"spares_used", totals.spares_used},
                   {"speaks_first", totals.spares_stopped > 0}});
  }
  return all;
}

Json backends_json(const StatusReport& report) {
  Json all = Json::array();
  for (const BackendReport& backend : report.process.backends) {
    all.push_back(
        {{"name", backend.name}, {"balance", backend.balance}, {"servers", servers_json(report, backend)}});
  }
  return all;
}

double busy_ratio(const ProcessState& state, int worker) {
  for (const WorkerReport& one : state.workers) {
    if (one.worker == worker) return one.busy_ratio;
  }
  return 0;
}

Json workers_json(const StatusReport& report) {
  Json all = Json::array();
  for (const WorkerTotals& worker : report.workers) {
    all.push_back({{"worker", worker.worker},
                   {"cpu", worker.cpu_and_one > 0 ? Json(worker.cpu_and_one - 1) : Json()},
                   {"busy_ratio", busy_ratio(report.process, worker.worker)},
                   {"handshakes_in_progress", worker.handshakes_in_progress},
                   {"handshakes_queued", worker.handshakes_queued},
                   {"accept_pauses", worker.accept_pauses}});
  }
  return all;
}

Json reload_json(const ReloadReport& reload) {
  Json json{{"ok", reload.ok},
            {"partly", reload.partly},
            {"failed", reload.failed},
            {"last_success", rfc3339(reload.last_success)}};
  json["last_attempt"] = reload.last_attempt ? Json(rfc3339(*reload.last_attempt)) : Json(nullptr);
  json["last_result"] = reload.last_result;
  json["faults"] = reload.faults;
  json["for_restart"] = reload.for_restart;
  return json;
}

Json drain_json(const DrainReport& drain) {
  return {{"what", drain.what},
          {"started", rfc3339(drain.started)},
          {"deadline", rfc3339(drain.deadline)},
          {"at_start", drain.at_start},
          {"remaining", drain.remaining},
          {"oldest_seconds", seconds(drain.oldest)},
          {"bytes", drain.bytes}};
}

Json log_json(const ProcessState& process) {
  Json overrides = Json::array();
  for (const LogOverrideReport& one : process.log_overrides)
    overrides.push_back({{"of", one.of}, {"level", one.level}, {"seconds_left", seconds(one.left)}});
  return {
      {"level", process.log_level}, {"overrides", overrides}, {"lines_dropped", process.log_lines_dropped}};
}

Json drains_json(const ProcessState& process) {
  Json all = Json::array();
  for (const DrainReport& drain : process.drains) all.push_back(drain_json(drain));
  return all;
}

/// The process's own drain, which exists from the moment in which the process is not ready any more.
Json process_drain_json(const ProcessState& process) {
  Json json{{"active", process.draining}};
  if (process.accepting_until) json["accepting_until"] = rfc3339(*process.accepting_until);
  for (const DrainReport& drain : process.drains) {
    if (process.draining && drain.what == "process") json.update(drain_json(drain));
  }
  return json;
}

/// Adds what TCP knows; null where there is no TCP.
void add_tcp(Json& json, const std::string& side, const std::optional<TcpState>& tcp) {
  json[side + "_rtt_seconds"] = tcp ? Json(seconds(tcp->rtt)) : Json();
  json[side + "_retransmits"] = tcp ? Json(tcp->retransmits) : Json();
}

Json connection_json(const ConnectionReport& one) {
  Json json = {{"id", one.id},
               {"worker", one.worker},
               {"listener", one.listener},
               {"source", one.source},
               {"phase", one.phase},
               {"sni", one.sni},
               {"alpn", one.alpn},
               {"version", one.version},
               {"group", one.group},
               {"cipher", one.cipher},
               {"resumed", one.resumed},
               {"peer", one.peer},
               {"backend", one.backend},
               {"server", one.server},
               {"record_layer", one.record_layer},
               {"age_seconds", seconds(one.age)},
               {"idle_seconds", seconds(one.idle)},
               {"bytes_from_client", one.bytes_from_client},
               {"bytes_to_client", one.bytes_to_client}};
  add_tcp(json, "client", one.client_tcp);
  add_tcp(json, "backend", one.backend_tcp);
  return json;
}

Json numbers_json(const Uint16List& list) {
  Json all = Json::array();
  for (const std::uint16_t value : list) {
    char text[8];
    std::snprintf(text, sizeof text, "0x%04x", value);
    all.push_back(text);
  }
  return all;
}

/// The lists that are not shown whole, each with the number of its entries that are left out.
Json left_out_json(const ClientOffer& offer) {
  using enum ClientOffer::List;
  Json all = Json::object();
  for (const auto& [name, list] : {std::pair{"versions", kVersions},
                                   {"groups", kGroups},
                                   {"ciphers", kCiphers},
                                   {"signature_algorithms", kSignatureAlgorithms},
                                   {"alpn", kAlpn}}) {
    if (offer.left_out(list) > 0) all[name] = offer.left_out(list);
  }
  return all;
}

Json offer_json(const ClientOffer& offer) {
  const ClientHello hello = offer.kept();
  return {{"versions", numbers_json(hello.supported_versions)},
          {"groups", numbers_json(hello.groups)},
          {"ciphers", numbers_json(hello.cipher_suites)},
          {"signature_algorithms", numbers_json(hello.signature_algorithms)},
          {"alpn", hello.alpn},
          {"left_out", left_out_json(offer)}};
}

Json handshake_json(const RecordedHandshake& one) {
  const auto time = [](Duration part) {
    return seconds(std::chrono::duration_cast<std::chrono::microseconds>(part));
  };
  return {{"at", rfc3339(one.at)},
          {"listener", one.listener},
          {"source", one.source.address().text()},
          {"result", name(one.result)},
          {"reason", one.failure == HandshakeFailure::kNone ? std::string_view() : name(one.failure)},
          {"alert", one.alert < 0 ? std::string() : alert_name(static_cast<std::uint8_t>(one.alert))},
          {"sni", one.server_name},
          {"ja4", one.offer.ja4()},
          {"offered", offer_json(one.offer)},
          {"version", one.version},
          {"group", one.group},
          {"cipher", one.cipher},
          {"resumed", one.resumed},
          {"total_seconds", time(one.times.total)},
          {"queue_seconds", time(one.times.queue)},
          {"cpu_seconds", time(one.times.cpu)},
          {"peer_wait_seconds", time(one.times.peer_wait)}};
}

/// Writes the certificates one after the other: a tree of values would take many times the memory of the
/// text.
void append_handshakes(std::string& to, const std::vector<RecordedHandshake>& handshakes) {
  to += '[';
  for (const RecordedHandshake& one : handshakes) {
    if (&one != &handshakes.front()) to += ',';
    to += handshake_json(one).dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  to += ']';
}

/// One number of each step.
template <class Number>
Json column(const std::vector<HistoryStep>& steps, const Number& number) {
  Json all = Json::array();
  for (const HistoryStep& step : steps) all.push_back(number(step));
  return all;
}

/// The reasons that any step has, with their counts in each step.
Json ends_json(const std::vector<HistoryStep>& steps) {
  Json all = Json::object();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (const auto& [reason, count] : steps[i].ends) {
      Json& one = all[std::string(name(reason))];
      if (one.is_null()) {
        one = {{"side", name(row(reason).side)},
               {"failure", row(reason).weight == CloseWeight::kFailure},
               {"counts", std::vector<std::uint64_t>(steps.size())}};
      }
      one["counts"][i] = count;
    }
  }
  return all;
}

std::string_view name(Outcome::Verdict verdict) {
  switch (verdict) {
    case Outcome::Verdict::kDone:
      return "ok";
    case Outcome::Verdict::kNotFound:
      return "not_found";
    case Outcome::Verdict::kRefused:
      return "refused";
    case Outcome::Verdict::kUnderWay:
      return "under_way";
    case Outcome::Verdict::kPartly:
      return "partly";
    case Outcome::Verdict::kFailed:
      return "failed";
  }
  return "failed";
}

}  // namespace

std::string to_json(const StatusReport& report, const Health& ready, WallTime now, std::size_t certificates) {
  const ProcessState& process = report.process;
  return text({{"version", process.version},
               {"openssl", process.openssl},
               {"started", rfc3339(process.started)},
               {"now", rfc3339(now)},
               {"ready", ready.ok},
               {"reason", ready.reason},
               {"config_file", process.config_file},
               {"config_hash", process.reload.config_hash},
               {"listeners", listeners_json(report)},
               {"backends", backends_json(report)},
               {"workers", workers_json(report)},
               {"certificates", certificates_json(report, now, certificates)},
               {"canaries", canaries_json(report.process)},
               {"certificates_total", certificates_held(process)},
               {"reload", reload_json(process.reload)},
               {"drain", process_drain_json(process)},
               {"drains", drains_json(process)},
               {"log", log_json(process)}});
}

std::string to_json(const ConnectionsPage& page, const ConnectionsQuery& query) {
  Json connections = Json::array();
  for (const ConnectionReport& one : page.connections) connections.push_back(connection_json(one));
  return text({{"total", page.total}, {"offset", query.offset}, {"connections", std::move(connections)}});
}

std::string to_json(const RecordedHandshakes& handshakes) {
  std::string json = R"({"failed":)";
  append_handshakes(json, handshakes.failed);
  json += R"(,"slowest":)";
  append_handshakes(json, handshakes.slowest);
  return json + "}\n";
}

std::string to_json(const std::vector<HistoryStep>& steps, WallTime now) {
  Json handshakes = Json::object();
  for (std::size_t i = 0; i < kHandshakeOutcomeCount; ++i) {
    handshakes[std::string(name(static_cast<HandshakeOutcome>(i)))] =
        column(steps, [i](const HistoryStep& step) { return step.handshakes[i]; });
  }
  Json bytes = Json::object();
  for (std::size_t i = 0; i < kDirectionCount; ++i) {
    bytes[std::string(name(static_cast<Direction>(i)))] =
        column(steps, [i](const HistoryStep& step) { return step.bytes[i]; });
  }
  const auto whole_milliseconds = [](auto length) {
    return seconds(std::chrono::duration_cast<std::chrono::milliseconds>(length));
  };
  return text({{"age_seconds",
                column(steps, [&](const HistoryStep& step) { return whole_milliseconds(now - step.ended); })},
               {"length_seconds",
                column(steps, [&](const HistoryStep& step) { return whole_milliseconds(step.length); })},
               {"open", column(steps, [](const HistoryStep& step) { return step.open; })},
               {"handshakes", std::move(handshakes)},
               {"bytes", std::move(bytes)},
               {"ends", ends_json(steps)}});
}

std::string to_json(const Outcome& outcome) {
  return text({{"result", name(outcome.verdict)}, {"message", outcome.message}, {"faults", outcome.faults}});
}

std::string error_json(std::string_view what) {
  return text({{"error", what}});
}

}  // namespace headgate
