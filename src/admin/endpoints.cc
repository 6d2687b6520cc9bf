#include "admin/endpoints.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <ranges>

#include "admin/json.h"
#include "admin/own_host.h"
#include "admin/query.h"
#include "admin/request_target.h"
#include "admin/status_page.h"
#include "config/notation.h"
#include "metrics/exporter.h"
#include "metrics/metrics.h"
#include "net/address.h"

namespace headgate {
namespace {

constexpr std::chrono::hours kLongestDrain{24};
constexpr std::chrono::hours kLongestLogLevel{24};

constexpr std::size_t kShownHostBytes = 255;

constexpr const char* kPlainText = "text/plain; charset=utf-8";

HttpResponse plain(int status, std::string body) {
  return {.status = status, .content_type = kPlainText, .body = std::move(body)};
}
HttpResponse json(std::string body) {
  return {.body = std::move(body)};
}
HttpResponse fault(int status, std::string_view what) {
  HttpResponse response = json(error_json(what));
  response.status = status;
  return response;
}

HttpResponse health(const Health& health) {
  return health.ok ? plain(200, "ok\n") : plain(503, health.reason + "\n");
}

HttpResponse outcome(const Outcome& outcome) {
  HttpResponse response = json(to_json(outcome));
  switch (outcome.verdict) {
    case Outcome::Verdict::kDone:
      break;
    case Outcome::Verdict::kNotFound:
      response.status = 404;
      break;
    case Outcome::Verdict::kRefused:
      response.status = 409;
      break;
    case Outcome::Verdict::kUnderWay:
      response.status = 202;
      break;
    case Outcome::Verdict::kPartly:
    case Outcome::Verdict::kFailed:
      response.status = 422;
      break;
  }
  return response;
}

/// Takes the value of `name` out of `query`; empty when the query has no such name.
std::string take(Query& query, std::string_view name) {
  const auto found = query.find(name);
  return found == query.end() ? std::string() : std::move(query.extract(found).mapped());
}

/// Takes a number out of `query`: `otherwise` when the query has no such name, nothing when the value is no
/// number.
std::optional<std::size_t> take_number(Query& query, std::string_view name, std::size_t otherwise) {
  const std::string text = take(query, name);
  if (text.empty()) return otherwise;
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Takes a duration out of `query`: nothing when the query has no such name. Errors: kInvalid; the text says
/// what would be right.
Result<std::optional<Duration>> take_duration(Query& query, std::string_view name,
                                              std::chrono::milliseconds longest) {
  const std::string text = take(query, name);
  if (text.empty()) return std::nullopt;
  const auto duration = config::parse_duration(text, std::chrono::milliseconds(0), longest);
  if (!duration) return fail(ErrorKind::kInvalid, std::string(name) + ": " + duration.error().what);
  return *duration;
}

/// Makes a fault that names the first parameter which is left after every known name was taken, if one is
/// left.
std::optional<HttpResponse> unknown_parameter(const Query& query, std::string_view known) {
  if (query.empty()) return std::nullopt;
  std::string what = "unknown parameter \"" + query.begin()->first + "\"; ";
  what.append(known.empty() ? "this path takes none" : "this path takes ").append(known);
  return fault(400, what);
}

bool is_network(const std::string& text) {
  return text.empty() || Network::parse(text).has_value();
}

HttpResponse get_status_page(Query&, AdminSource&) {
  StatusPage page = make_status_page();
  return {.content_type = "text/html; charset=utf-8",
          .body = std::move(page.html),
          .content_security_policy = std::move(page.content_security_policy)};
}

/// The metrics whose names, with commas between them, are in `names`; all when it is empty. Errors: kInvalid.
Result<MetricSet> metrics_named(std::string_view names) {
  MetricSet wanted;
  if (names.empty()) return wanted.set();
  for (const auto part : std::views::split(names, ',')) {
    const std::string_view name(part.begin(), part.end());
    const auto metric = find_metric(name);
    if (!metric) return fail(ErrorKind::kInvalid, "name: there is no metric \"" + std::string(name) + "\"");
    wanted.set(*metric);
  }
  return wanted;
}

HttpResponse get_metrics(Query& query, AdminSource& source) {
  const auto wanted = metrics_named(take(query, "name"));
  if (!wanted) return fault(400, wanted.error().what);
  return {.content_type = Exporter::kContentType, .body = source.metrics_text(*wanted)};
}

HttpResponse get_health(Query&, AdminSource& source) {
  return health(source.healthz());
}
HttpResponse get_ready(Query&, AdminSource& source) {
  return health(source.readyz());
}

HttpResponse get_status(Query& query, AdminSource& source) {
  const auto certificates = take_number(query, "certificates", kShownCertificates);
  if (!certificates || *certificates > kShownCertificates) {
    return fault(400, "certificates: how many to show, from 0 to " + std::to_string(kShownCertificates));
  }
  if (auto unknown = unknown_parameter(query, "certificates")) return *unknown;
  return json(to_json(source.status(), source.readyz(), std::chrono::system_clock::now(), *certificates));
}

HttpResponse get_connections(Query& query, AdminSource& source) {
  const auto offset = take_number(query, "offset", 0);
  const auto limit = take_number(query, "limit", ConnectionsQuery{}.limit);
  if (!offset) return fault(400, "offset: how many connections to pass over, a number");
  if (!limit || *limit == 0 || *limit > ConnectionsQuery::kMaxLimit) {
    return fault(
        400, "limit: how many connections to show, from 1 to " + std::to_string(ConnectionsQuery::kMaxLimit));
  }
  const ConnectionsQuery wanted{.offset = *offset,
                                .limit = *limit,
                                .listener = take(query, "listener"),
                                .backend = take(query, "backend"),
                                .source = take(query, "source")};
  if (!is_network(wanted.source)) return fault(400, "source: an address or a network such as 10.0.0.0/8");
  if (auto unknown = unknown_parameter(query, "offset, limit, listener, backend and source")) return *unknown;
  return json(to_json(source.connections(wanted), wanted));
}

HttpResponse get_handshakes(Query&, AdminSource& source) {
  return json(to_json(source.handshakes()));
}

HttpResponse get_history(Query& query, AdminSource& source) {
  const std::string listener = take(query, "listener");
  if (auto unknown = unknown_parameter(query, "listener")) return *unknown;
  const auto steps = source.history(listener);
  if (!steps) return fault(404, "no listener \"" + listener + "\" has a history");
  return json(to_json(*steps, std::chrono::system_clock::now()));
}

HttpResponse post_reload(Query&, AdminSource& source) {
  return outcome(source.reload());
}

HttpResponse post_drain(Query& query, AdminSource& source) {
  const auto time = take_duration(query, "deadline", kLongestDrain);
  if (!time) return fault(400, time.error().what);
  if (query.size() > 1)
    return fault(400, "drain takes one of listener, backend and peer, or none for the process");
  const DrainRequest request{.listener = take(query, "listener"),
                             .backend = take(query, "backend"),
                             .peer = take(query, "peer"),
                             .time = *time};
  if (auto unknown = unknown_parameter(query, "deadline and one of listener, backend or peer"))
    return *unknown;
  return outcome(source.drain(request));
}

std::optional<LogLevel> level_named(std::string_view text) {
  for (const LogLevel level : {LogLevel::kError, LogLevel::kWarn, LogLevel::kInfo, LogLevel::kDebug}) {
    if (text == name(level)) return level;
  }
  return std::nullopt;
}

HttpResponse post_log(Query& query, AdminSource& source) {
  const std::string wanted = take(query, "level");
  const auto level = level_named(wanted);
  if (!level && wanted != "reset")
    return fault(400, "level: one of error, warn, info, debug and reset, as in POST /log?level=debug");
  const auto time = take_duration(query, "for", kLongestLogLevel);
  if (!time) return fault(400, time.error().what);
  if (query.size() > 1)
    return fault(400, "log takes, in addition to level, one of listener and source, or none for all lines");
  const LogLevelRequest request{
      .level = level, .listener = take(query, "listener"), .source = take(query, "source"), .time = *time};
  if (!is_network(request.source)) return fault(400, "source: an address or a network such as 10.0.0.0/8");
  if (auto unknown = unknown_parameter(query, "level, for, and listener or source")) return *unknown;
  return outcome(source.set_log_level(request));
}

enum class Method { kGet, kPost };
enum class Parameters { kNone, kSome };

struct Endpoint {
  std::string_view path;
  Method method;
  Parameters parameters;
  AnswerKind kind;
  AdminOffer least;  ///< kMetrics: every address has it.
  /// Takes the parameters that it knows out of `query`.
  HttpResponse (*answer)(Query& query, AdminSource& source);
};

constexpr std::array kEndpoints{
    Endpoint{"/", Method::kGet, Parameters::kNone, AnswerKind::kQuestion, AdminOffer::kAll, get_status_page},
    Endpoint{"/metrics", Method::kGet, Parameters::kSome, AnswerKind::kQuestion, AdminOffer::kMetrics,
             get_metrics},
    Endpoint{"/healthz", Method::kGet, Parameters::kSome, AnswerKind::kProbe, AdminOffer::kMetrics,
             get_health},
    Endpoint{"/readyz", Method::kGet, Parameters::kSome, AnswerKind::kProbe, AdminOffer::kMetrics, get_ready},
    Endpoint{"/status.json", Method::kGet, Parameters::kSome, AnswerKind::kQuestion, AdminOffer::kAll,
             get_status},
    Endpoint{"/connections.json", Method::kGet, Parameters::kSome, AnswerKind::kQuestion, AdminOffer::kAll,
             get_connections},
    Endpoint{"/handshakes.json", Method::kGet, Parameters::kNone, AnswerKind::kQuestion, AdminOffer::kAll,
             get_handshakes},
    Endpoint{"/history.json", Method::kGet, Parameters::kSome, AnswerKind::kQuestion, AdminOffer::kAll,
             get_history},
    Endpoint{"/drain", Method::kPost, Parameters::kSome, AnswerKind::kChange, AdminOffer::kAll, post_drain},
    Endpoint{"/reload", Method::kPost, Parameters::kNone, AnswerKind::kReload, AdminOffer::kAll, post_reload},
    Endpoint{"/log", Method::kPost, Parameters::kSome, AnswerKind::kChange, AdminOffer::kAll, post_log},
};

bool method_fits(Method wanted, std::string_view method) {
  return wanted == Method::kPost ? method == "POST" : method == "GET" || method == "HEAD";
}

HttpResponse wrong_method(const Endpoint& endpoint) {
  const bool post = endpoint.method == Method::kPost;
  HttpResponse response =
      fault(405, post ? "this changes something: use POST" : "this only shows something: use GET");
  response.allow = post ? "POST" : "GET, HEAD";
  return response;
}

/// Whether a browser sends this for a page of another site. "null" is the origin of a page that hides its
/// own.
bool is_cross_site(const HttpRequest& request, std::string_view host) {
  const auto scheme_end = request.origin.find("://");
  if (!request.origin.empty()) {
    return scheme_end == request.origin.npos || request.origin.substr(scheme_end + 3) != host;
  }
  return !request.fetch_site.empty() && request.fetch_site != "same-origin" && request.fetch_site != "none";
}

/// A page of another site may have a link to a page here, and no more.
bool may_ask(const HttpRequest& request, std::string_view host, Method method) {
  if (!is_cross_site(request, host)) return true;
  return method == Method::kGet && request.origin.empty() && request.fetch_mode == "navigate";
}

std::string shown_host(std::string_view host) {
  return "\"" + std::string(host.substr(0, kShownHostBytes)) + "\"";
}

HttpResponse not_own_host(std::string_view host) {
  return fault(421, "this endpoint has no name " + shown_host(host) +
                        "; ask for its address or for localhost, or add the name to admin.names");
}

bool has(AdminOffer offer, const Endpoint& endpoint) {
  return offer == AdminOffer::kAll || endpoint.least == AdminOffer::kMetrics;
}

/// A request for health, as a probe makes it, needs no token, and neither does one to the address of metrics.
bool may_enter(const HttpRequest& request, const Endpoint& endpoint, AdminOffer offer, AdminSource& source) {
  return offer == AdminOffer::kMetrics || endpoint.kind == AnswerKind::kProbe || source.admits(request.token);
}

HttpResponse not_found(std::string_view path, AdminOffer offer) {
  std::string what = "there is no " + std::string(path) + " here; there are";
  for (const Endpoint& endpoint : kEndpoints) {
    if (has(offer, endpoint)) what.append(" ").append(endpoint.path);
  }
  return fault(404, what);
}

HttpResponse answer_own(const HttpRequest& request, const RequestTarget& target, std::string_view host,
                        AdminOffer offer, AdminSource& source) {
  const auto endpoint = std::ranges::find(kEndpoints, target.path, &Endpoint::path);
  if (endpoint == kEndpoints.end() || !has(offer, *endpoint)) return not_found(target.path, offer);
  if (!method_fits(endpoint->method, request.method)) return wrong_method(*endpoint);
  if (!may_enter(request, *endpoint, offer, source))
    return fault(401, "show the token of admin.token_file: Authorization: Bearer TOKEN, or as a password");
  if (!may_ask(request, host, endpoint->method))
    return fault(403, "a page of another site may not ask for this");
  auto query = parse_query(target.query);
  if (!query) return fault(400, query.error().what);
  if (endpoint->parameters == Parameters::kNone) {
    if (auto unknown = unknown_parameter(*query, "")) return *unknown;
  }
  return endpoint->answer(*query, source);
}

}  // namespace

AnswerKind kind_of(std::string_view target) {
  const auto endpoint = std::ranges::find(kEndpoints, parse_target(target).path, &Endpoint::path);
  return endpoint == kEndpoints.end() ? AnswerKind::kQuestion : endpoint->kind;
}

HttpResponse answer(const HttpRequest& request, const AdminAddress& at, AdminSource& source) {
  if (request.host_line == HttpRequest::HostLine::kFaulty) {
    return fault(400, "HTTP/1.1 wants exactly one Host line");
  }
  const RequestTarget target = parse_target(request.target);
  const bool named = !target.host.empty() || request.host_line == HttpRequest::HostLine::kOne;
  const std::string_view host = target.host.empty() ? request.host : target.host;
  if (named && !is_own_host(host, at.bound, source.names())) return not_own_host(host);
  return answer_own(request, target, host, at.offer, source);
}

HttpResponse too_busy() {
  return fault(503, "too many requests of this kind wait; ask again later");
}

HttpResponse body_too_large(std::size_t limit) {
  return fault(413, "no request needs a body here, and one of more than " + std::to_string(limit) +
                        " bytes is not read");
}

}  // namespace headgate
