#include "admin/endpoints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tls/handshake/synthetic_hello.h"
#include "unit/admin/fake_source.h"
#include "unit/connection/hello_of.h"
#include "unit/metrics/certificate_list.h"

namespace headgate {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

struct Endpoints : ::testing::Test {
  HttpResponse ask(std::string_view method, std::string_view path, std::string_view query = "") {
    const std::string target = std::string(path) + (query.empty() ? "" : "?") + std::string(query);
    return answer({.method = method, .target = target, .host = "127.0.0.1:9464"}, bound, source);
  }
  HttpResponse ask_by(std::string_view host, std::string_view target = "/status.json") {
    return answer({.method = "GET", .target = target, .host = host}, bound, source);
  }
  const AdminAddress bound{.bound = Address::loopback(9464)};
  FakeSource source;
};

TEST_F(Endpoints, GiveTheMetricsAsPrometheusText) {
  const HttpResponse response = ask("GET", "/metrics");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.content_type, HasSubstr("version=0.0.4"));
  EXPECT_THAT(response.body, HasSubstr("up 1\n"));
}

TEST_F(Endpoints, OfTheMetricsAddressAreMetricsAndHealthAlone) {
  const AdminAddress at{.bound = Address::loopback(9465), .offer = AdminOffer::kMetrics};
  const auto status = [&](std::string_view method, std::string_view target) {
    return answer({.method = method, .target = target, .host = "127.0.0.1:9465"}, at, source).status;
  };
  for (const char* path : {"/metrics", "/healthz", "/readyz"}) EXPECT_EQ(status("GET", path), 200) << path;
  for (const char* path : {"/", "/status.json", "/connections.json", "/handshakes.json", "/history.json"})
    EXPECT_EQ(status("GET", path), 404) << path;
  for (const char* path : {"/drain", "/reload", "/log?level=debug"})
    EXPECT_EQ(status("POST", path), 404) << path;
  EXPECT_EQ(status("POST", "/metrics"), 405);
  const HttpResponse response =
      answer({.method = "GET", .target = "/status.json", .host = "127.0.0.1:9465"}, at, source);
  EXPECT_THAT(response.body,
              HasSubstr("there is no /status.json here; there are /metrics /healthz /readyz\""));
}

TEST_F(Endpoints, WantTheTokenForAllButHealthAndTheMetricsAddress) {
  source.token = "0123456789abcdef";
  const AdminAddress metrics{.bound = bound.bound, .offer = AdminOffer::kMetrics};
  const auto status = [&](const AdminAddress& at, std::string_view method, std::string_view target,
                          std::string_view token) {
    return answer({.method = method, .target = target, .host = "127.0.0.1:9464", .token = token}, at, source)
        .status;
  };
  for (const char* path :
       {"/", "/metrics", "/status.json", "/connections.json", "/handshakes.json", "/history.json"}) {
    EXPECT_EQ(status(bound, "GET", path, ""), 401) << path;
    EXPECT_EQ(status(bound, "GET", path, "0123456789abcdeF"), 401) << path;
    EXPECT_EQ(status(bound, "GET", path, source.token), 200) << path;
  }
  for (const char* path : {"/drain", "/reload", "/log?level=debug"}) {
    EXPECT_EQ(status(bound, "POST", path, ""), 401) << path;
    EXPECT_EQ(status(bound, "POST", path, source.token), 200) << path;
  }
  for (const char* path : {"/healthz", "/readyz"}) EXPECT_EQ(status(bound, "GET", path, ""), 200) << path;
  EXPECT_EQ(status(metrics, "GET", "/metrics", ""), 200);
  EXPECT_EQ(source.reloads, 1);
  EXPECT_EQ(source.drains.size(), 1U);
}

TEST_F(Endpoints, GiveOnlyTheMetricsThatAreNamed) {
  EXPECT_EQ(ask("GET", "/metrics").status, 200);
  EXPECT_TRUE(source.metrics_wanted.all());
  EXPECT_EQ(ask("GET", "/metrics", "name=headgate_bytes_total,process_threads").status, 200);
  EXPECT_EQ(source.metrics_wanted.count(), 2U);
  EXPECT_TRUE(source.metrics_wanted.test(*find_metric("headgate_bytes_total")));
  EXPECT_TRUE(source.metrics_wanted.test(*find_metric("process_threads")));
  for (const std::string_view wrong : {"name=up", "name=headgate_bytes_total,", "name=,"}) {
    const HttpResponse response = ask("GET", "/metrics", wrong);
    EXPECT_EQ(response.status, 400) << wrong;
    EXPECT_THAT(response.body, HasSubstr("there is no metric")) << wrong;
  }
}

TEST_F(Endpoints, ShowAsManyCertificatesAsAreAskedFor) {
  const auto day = std::chrono::hours(24);
  const auto now = std::chrono::system_clock::now();
  source.report.process.certificates = std::make_shared<const test::ListedCertificates>(
      std::vector<CertificateReport>{{.file = "late.pem", .not_after = now + 90 * day},
                                     {.file = "soon.pem", .not_after = now + 3 * day}});
  const Json all = Json::parse(ask("GET", "/status.json").body);
  EXPECT_EQ(all["certificates"].size(), 2U);
  const Json one = Json::parse(ask("GET", "/status.json", "certificates=1").body);
  ASSERT_EQ(one["certificates"].size(), 1U);
  EXPECT_EQ(one["certificates"][0]["file"], "soon.pem");
  const Json none = Json::parse(ask("GET", "/status.json", "certificates=0").body);
  EXPECT_TRUE(none["certificates"].empty());
  EXPECT_EQ(none["certificates_total"], 2);
  for (const std::string_view wrong :
       {"certificates=1001", "certificates=-1", "certificates=x", "listener=web"}) {
    EXPECT_EQ(ask("GET", "/status.json", wrong).status, 400) << wrong;
  }
}

TEST_F(Endpoints, SayHealthAndReadinessWithTheReason) {
  EXPECT_EQ(ask("GET", "/healthz").status, 200);
  EXPECT_EQ(ask("GET", "/readyz").body, "ok\n");
  source.ready = {.ok = false, .reason = "draining"};
  source.health = {.ok = false, .reason = "worker 1 has not turned for 12 s"};
  EXPECT_EQ(ask("GET", "/readyz").status, 503);
  EXPECT_EQ(ask("GET", "/readyz").body, "draining\n");
  EXPECT_EQ(ask("HEAD", "/healthz").status, 503);
}

TEST_F(Endpoints, ShowTheStatus) {
  source.ready = {.ok = false, .reason = "draining"};
  ProcessState& process = source.report.process;
  process.listeners.push_back({.name = "web", .bind = {"[::]:8443"}, .backend = "app"});
  process.backends.push_back(
      {"app", "round_robin", {{.address = "127.0.0.1:1", .up = false, .reason = "refused"}}});
  process.workers.push_back({.worker = 0, .busy_ratio = 0.5});
  process.reload.faults = {"a.yaml:1:2: x"};
  process.reload.last_result = "failed";
  process.reload.for_restart = {"user"};
  process.draining = true;
  process.drains = {{.what = "listener web", .at_start = 9, .remaining = 2, .bytes = 5},
                    {.what = "process", .at_start = 4, .remaining = 3}};
  process.log_level = "warn";
  process.log_overrides = {{.of = "listener web", .level = "debug", .left = std::chrono::seconds(9)}};
  process.certificates = std::make_shared<const test::ListedCertificates>(std::vector<CertificateReport>{
      {.file = "a.pem",
       .names = {"a.example"},
       .not_after = std::chrono::system_clock::now() + std::chrono::hours(36)}});
  source.report.listeners["web"].active = 3;
  source.report.servers[{"app", "127.0.0.1:1"}].connect_failures = 7;
  source.report.servers[{"app", "127.0.0.1:1"}].spares = 3;
  source.report.servers[{"app", "127.0.0.1:1"}].spares_used = 9;
  source.report.servers[{"app", "127.0.0.1:1"}].spares_stopped = 2;
  source.report.workers.push_back({.worker = 0, .handshakes_queued = 2});
  const Json status = Json::parse(ask("GET", "/status.json").body);
  EXPECT_EQ(status["ready"], false);
  EXPECT_EQ(status["reason"], "draining");
  EXPECT_EQ(status["listeners"][0]["active"], 3);
  EXPECT_EQ(status["listeners"][0]["bind"][0], "[::]:8443");
  EXPECT_EQ(status["backends"][0]["servers"][0]["up"], false);
  EXPECT_EQ(status["backends"][0]["servers"][0]["connect_failures"], 7);
  EXPECT_EQ(status["backends"][0]["servers"][0]["spares"], 3);
  EXPECT_EQ(status["backends"][0]["servers"][0]["spares_used"], 9);
  EXPECT_EQ(status["backends"][0]["servers"][0]["speaks_first"], true);
  EXPECT_EQ(status["workers"][0]["busy_ratio"], 0.5);
  EXPECT_EQ(status["certificates"][0]["days_left"], 1);
  EXPECT_EQ(status["certificates"][0]["names"][0], "a.example");
  EXPECT_EQ(status["reload"]["last_result"], "failed");
  EXPECT_EQ(status["reload"]["for_restart"][0], "user");
  EXPECT_EQ(status["drain"]["active"], true);
  EXPECT_EQ(status["drain"]["remaining"], 3);
  EXPECT_EQ(status["drains"][0]["what"], "listener web");
  EXPECT_EQ(status["drains"][0]["bytes"], 5);
  EXPECT_EQ(status["log"]["level"], "warn");
  EXPECT_EQ(status["log"]["overrides"][0]["of"], "listener web");
  EXPECT_EQ(status["log"]["overrides"][0]["seconds_left"], 9);
}

TEST_F(Endpoints, PageThroughConnections) {
  source.page.total = 5;
  source.page.connections.push_back(
      {.id = 9, .listener = "web", .source = "192.0.2.1:5", .phase = "relay", .sni = "\xFF"});
  const HttpResponse response =
      ask("GET", "/connections.json", "offset=4&limit=1&listener=web&source=192.0.2.0/24");
  ASSERT_EQ(response.status, 200) << response.body;
  const Json page = Json::parse(response.body);
  EXPECT_EQ(page["total"], 5);
  EXPECT_EQ(page["connections"][0]["id"], 9);
  EXPECT_EQ(page["connections"][0]["sni"], "\xEF\xBF\xBD");
  EXPECT_EQ(source.connections_query.offset, 4U);
  EXPECT_EQ(source.connections_query.limit, 1U);
  EXPECT_EQ(source.connections_query.listener, "web");
}

TEST_F(Endpoints, ShowTheFlightRecorder) {
  const auto hello = *synthetic_client_hello("app.test", {"h2", "\xff"});
  source.recorded.failed.push_back({.listener = "web",
                                    .result = HandshakeResult::kFailed,
                                    .failure = HandshakeFailure::kNoSharedGroup,
                                    .alert = 40,
                                    .server_name = "app.test",
                                    .offer = ClientOffer(*parse_client_hello(hello)),
                                    .times = {.queue = std::chrono::microseconds(1500)}});
  const Json report = Json::parse(ask("GET", "/handshakes.json").body);
  const Json& one = report["failed"][0];
  EXPECT_EQ(one["reason"], "no_shared_group");
  EXPECT_EQ(one["alert"], "handshake_failure");
  EXPECT_EQ(one["sni"], "app.test");
  EXPECT_EQ(one["offered"]["versions"], Json({"0x0304", "0x0303"}));
  EXPECT_EQ(one["offered"]["alpn"], Json({"h2", "\uFFFD"}));
  EXPECT_TRUE(one["offered"]["left_out"].empty());
  EXPECT_EQ(one["ja4"], parse_client_hello(hello)->ja4());
  EXPECT_EQ(one["queue_seconds"], 0.0015);
  EXPECT_TRUE(report["slowest"].empty());
}

TEST_F(Endpoints, ShowABoundedPartOfTheLargestHelloAndSayHowMuchMoreThereWas) {
  const auto hello = test::largest_hello().records();
  RecordedHandshake one{.listener = "web",
                        .result = HandshakeResult::kFailed,
                        .failure = HandshakeFailure::kNoSharedCipher,
                        .server_name = std::string(RecordedHandshake::kMaxNameBytes, '\x01'),
                        .offer = ClientOffer(*parse_client_hello(hello))};
  source.recorded.failed.assign(FlightRecorder::kKept, one);
  const std::string body = ask("GET", "/handshakes.json").body;
  EXPECT_LE(body.size(), FlightRecorder::kKept * std::size_t{8} * 1024);
  const Json report = Json::parse(body);
  ASSERT_EQ(report["failed"].size(), FlightRecorder::kKept);
  const Json& offered = report["failed"][63]["offered"];
  EXPECT_EQ(offered["ciphers"].size(), ClientOffer::kMaxNumbers);
  EXPECT_EQ(offered["left_out"]["ciphers"], 10'000 - ClientOffer::kMaxNumbers);
  EXPECT_EQ(offered["left_out"]["groups"], 10'000 - ClientOffer::kMaxNumbers);
  EXPECT_FALSE(offered["left_out"].contains("versions"));
}

TEST_F(Endpoints, ShowTheHistoryAsAListForEachNumber) {
  const auto now = std::chrono::system_clock::now();
  HistoryStep first{.ended = now - std::chrono::seconds(20), .length = std::chrono::seconds(10), .open = 3};
  first.handshakes[static_cast<std::size_t>(HandshakeOutcome::kResumed)] = 7;
  first.bytes[static_cast<std::size_t>(Direction::kToClient)] = 100;
  first.ends = {{CloseReason::kBackendReset, 2}};
  HistoryStep second{.ended = now, .length = std::chrono::milliseconds(10'500)};
  second.ends = {{CloseReason::kFinished, 4}, {CloseReason::kBackendReset, 1}};
  source.steps = {first, second};
  const Json report = Json::parse(ask("GET", "/history.json?listener=web").body);
  EXPECT_NEAR(report["age_seconds"][0], 20, 5);
  EXPECT_EQ(report["length_seconds"], Json({10.0, 10.5}));
  EXPECT_EQ(report["open"], Json({3, 0}));
  EXPECT_EQ(report["handshakes"]["resumed"], Json({7, 0}));
  EXPECT_EQ(report["handshakes"].size(), kHandshakeOutcomeCount);
  EXPECT_EQ(report["bytes"]["to_client"], Json({100, 0}));
  EXPECT_EQ(report["ends"]["backend_reset"],
            Json::parse(R"({"side": "backend", "failure": true, "counts": [2, 1]})"));
  EXPECT_EQ(report["ends"]["finished"],
            Json::parse(R"({"side": "none", "failure": false, "counts": [0, 4]})"));
  EXPECT_EQ(ask("GET", "/history.json").status, 200);
}

TEST_F(Endpoints, HaveNoHistoryOfAListenerThatIsNotThere) {
  const HttpResponse response = ask("GET", "/history.json?listener=nobody");
  EXPECT_EQ(response.status, 404);
  EXPECT_THAT(response.body, HasSubstr("nobody"));
  EXPECT_EQ(ask("GET", "/history.json?since=yesterday").status, 400);
}

TEST_F(Endpoints, ReloadAndSayWhatBecameOfIt) {
  EXPECT_EQ(ask("POST", "/reload").status, 200);
  source.outcome = {.verdict = Outcome::Verdict::kFailed,
                    .message = "nothing changed",
                    .faults = {"h.yaml:3:1: workers: ..."}};
  const HttpResponse failed = ask("POST", "/reload");
  EXPECT_EQ(failed.status, 422);
  EXPECT_EQ(Json::parse(failed.body)["faults"][0], "h.yaml:3:1: workers: ...");
  source.outcome = {.verdict = Outcome::Verdict::kUnderWay, .message = "it goes on"};
  const HttpResponse goes_on = ask("POST", "/reload");
  EXPECT_EQ(goes_on.status, 202);
  EXPECT_EQ(Json::parse(goes_on.body)["result"], "under_way");
  EXPECT_EQ(source.reloads, 3);
}

TEST_F(Endpoints, DrainTheProcessOrOneThing) {
  EXPECT_EQ(ask("POST", "/drain").status, 200);
  EXPECT_EQ(ask("POST", "/drain", "backend=app").status, 200);
  ASSERT_EQ(source.drains.size(), 2U);
  EXPECT_EQ(source.drains[0].backend, "");
  EXPECT_EQ(source.drains[1].backend, "app");
  EXPECT_EQ(source.drains[1].time, std::nullopt);
  EXPECT_EQ(ask("POST", "/drain", "backend=app&listener=web").status, 400);
  source.outcome.verdict = Outcome::Verdict::kNotFound;
  EXPECT_EQ(ask("POST", "/drain", "listener=nowhere").status, 404);
  source.outcome.verdict = Outcome::Verdict::kRefused;
  EXPECT_EQ(ask("POST", "/drain").status, 409);
}

TEST_F(Endpoints, DrainWithinATimeOfItsOwn) {
  EXPECT_EQ(ask("POST", "/drain", "listener=web&deadline=90s").status, 200);
  ASSERT_EQ(source.drains.size(), 1U);
  EXPECT_EQ(source.drains[0].listener, "web");
  EXPECT_EQ(source.drains[0].time, std::chrono::seconds(90));
  for (const std::string_view wrong : {"deadline=soon", "deadline=90", "deadline=-1s", "deadline=25h"}) {
    const HttpResponse response = ask("POST", "/drain", wrong);
    EXPECT_EQ(response.status, 400) << wrong;
    EXPECT_THAT(response.body, HasSubstr("deadline: ")) << wrong;
  }
  EXPECT_EQ(source.drains.size(), 1U);
}

TEST_F(Endpoints, SetALogLevelForAWhileAndBack) {
  EXPECT_EQ(ask("POST", "/log", "level=debug&listener=web&for=5m").status, 200);
  EXPECT_EQ(ask("POST", "/log", "level=reset&listener=web").status, 200);
  ASSERT_EQ(source.log_levels.size(), 2U);
  EXPECT_EQ(source.log_levels[0].time, std::chrono::minutes(5));
  EXPECT_EQ(source.log_levels[1].level, std::nullopt);
  EXPECT_EQ(source.log_levels[1].listener, "web");
  EXPECT_EQ(ask("POST", "/log", "level=debug&for=long").status, 400);
  EXPECT_EQ(ask("POST", "/log", "level=loud").status, 400);
  EXPECT_EQ(ask("POST", "/log", "for=5m").status, 400);
  EXPECT_EQ(source.log_levels.size(), 2U);
}

TEST_F(Endpoints, ChangeWhatIsLogged) {
  EXPECT_EQ(ask("POST", "/log", "level=debug&source=10.0.0.0/8").status, 200);
  ASSERT_EQ(source.log_levels.size(), 1U);
  EXPECT_EQ(source.log_levels[0].level, LogLevel::kDebug);
  EXPECT_EQ(source.log_levels[0].source, "10.0.0.0/8");
}

TEST_F(Endpoints, RefuseBadParametersWithASentence) {
  for (const auto& [path, query, hint] :
       std::vector<std::array<std::string_view, 3>>{{"/connections.json", "limit=0", "from 1 to 1000"},
                                                    {"/connections.json", "limit=1001", "from 1 to 1000"},
                                                    {"/connections.json", "offset=-1", "a number"},
                                                    {"/connections.json", "source=nonsense", "10.0.0.0/8"},
                                                    {"/connections.json", "sni=a", "unknown parameter"},
                                                    {"/status.json", "a=1", "takes certificates"},
                                                    {"/", "a=1", "takes none"},
                                                    {"/handshakes.json", "a", "name=value"}}) {
    const HttpResponse response = ask("GET", path, query);
    EXPECT_EQ(response.status, 400) << query;
    EXPECT_THAT(response.body, HasSubstr(hint)) << query;
  }
  EXPECT_THAT(ask("POST", "/log", "level=loud").body, HasSubstr("error, warn, info, debug and reset"));
  EXPECT_EQ(ask("POST", "/log").status, 400);
  EXPECT_EQ(ask("POST", "/drain", "everything=1").status, 400);
}

TEST_F(Endpoints, RefuseWrongMethodsAndPaths) {
  EXPECT_EQ(ask("POST", "/metrics").status, 405);
  EXPECT_EQ(ask("POST", "/metrics").allow, "GET, HEAD");
  EXPECT_EQ(ask("GET", "/drain").status, 405);
  EXPECT_EQ(ask("GET", "/drain").allow, "POST");
  EXPECT_EQ(ask("GET", "/nothing").status, 404);
  EXPECT_THAT(ask("GET", "/nothing").body, HasSubstr("/status.json"));
  EXPECT_TRUE(source.drains.empty());
}

TEST_F(Endpoints, DoNothingForAPageOfAnotherSite) {
  const HttpRequest drain{.method = "POST", .target = "/drain", .host = "127.0.0.1:9464"};
  HttpRequest request = drain;
  for (const std::string_view origin : {"http://evil.example", "null", "http://127.0.0.1:1"}) {
    request.origin = origin;
    EXPECT_EQ(answer(request, bound, source).status, 403) << origin;
  }
  for (const std::string_view site : {"cross-site", "same-site"}) {
    request = drain;
    request.fetch_site = site;
    request.fetch_mode = "navigate";  // a form
    EXPECT_EQ(answer(request, bound, source).status, 403) << site;
  }
  EXPECT_TRUE(source.drains.empty());
  request = drain;
  request.origin = "http://127.0.0.1:9464";
  request.fetch_site = "same-origin";
  EXPECT_EQ(answer(request, bound, source).status, 200);
  EXPECT_EQ(answer(drain, bound, source).status, 200);
  EXPECT_EQ(source.drains.size(), 2U);
}

TEST_F(Endpoints, ShowAnotherSitesPageNothingButFollowItsLinks) {
  HttpRequest request{.method = "GET", .target = "/metrics", .host = "127.0.0.1:9464"};
  request.fetch_site = "cross-site";
  request.fetch_mode = "no-cors";
  EXPECT_EQ(answer(request, bound, source).status, 403);
  request.fetch_mode = "navigate";
  EXPECT_EQ(answer(request, bound, source).status, 200);
  request.origin = "http://evil.example";
  EXPECT_EQ(answer(request, bound, source).status, 403);
  request = {.method = "GET", .target = "/metrics", .host = "127.0.0.1:9464", .fetch_site = "none"};
  EXPECT_EQ(answer(request, bound, source).status, 200);
}

TEST_F(Endpoints, RefuseAHostThatIsNotTheirsAndSayWhichKeyNamesIt) {
  source.own_names = {"status.example"};
  EXPECT_EQ(ask_by("localhost").status, 200);
  EXPECT_EQ(ask_by("status.example:80").status, 200);
  for (const std::string_view target : {"/", "/metrics", "/healthz", "/nothing"}) {
    const HttpResponse refused = ask_by("evil.example:9464", target);
    EXPECT_EQ(refused.status, 421) << target;
    EXPECT_THAT(refused.body, HasSubstr("evil.example")) << target;
    EXPECT_THAT(refused.body, HasSubstr("admin.names")) << target;
  }
  const HttpRequest drain{
      .method = "POST", .target = "/drain", .host = "evil.example", .origin = "http://evil.example"};
  EXPECT_EQ(answer(drain, bound, source).status, 421);
  EXPECT_TRUE(source.drains.empty());
}

TEST_F(Endpoints, TakeTheHostOfAnAbsoluteTargetInsteadOfTheHeader) {
  EXPECT_EQ(ask_by("evil.example", "http://localhost:9464/readyz").status, 200);
  EXPECT_EQ(ask_by("localhost", "http://evil.example/readyz").status, 421);
}

TEST_F(Endpoints, WantOneHostLineOfHttp11AndNoneOfHttp10) {
  HttpRequest request{.method = "GET", .target = "/healthz", .host_line = HttpRequest::HostLine::kFaulty};
  EXPECT_EQ(answer(request, bound, source).status, 400);
  request.host_line = HttpRequest::HostLine::kNone;
  EXPECT_EQ(answer(request, bound, source).status, 200);
  EXPECT_EQ(ask_by("").status, 421);
}

TEST_F(Endpoints, KeepProbesReloadsChangesAndQuestionsApart) {
  EXPECT_EQ(kind_of("/healthz"), AnswerKind::kProbe);
  EXPECT_EQ(kind_of("/readyz?a=b"), AnswerKind::kProbe);
  EXPECT_EQ(kind_of("/reload"), AnswerKind::kReload);
  EXPECT_EQ(kind_of("http://localhost/drain?listener=web"), AnswerKind::kChange);
  EXPECT_EQ(kind_of("/metrics"), AnswerKind::kQuestion);
  EXPECT_EQ(kind_of("/nothing"), AnswerKind::kQuestion);
}

TEST_F(Endpoints, ServeThePageUnderAPolicyWithAFreshNonce) {
  const HttpResponse one = ask("GET", "/"), two = ask("GET", "/");
  EXPECT_EQ(one.status, 200);
  EXPECT_THAT(one.content_type, HasSubstr("text/html"));
  EXPECT_EQ(one.body.find("__NONCE__"), std::string::npos);
  EXPECT_NE(one.content_security_policy, two.content_security_policy);
  const auto at = one.content_security_policy.find("'nonce-") + 7;
  EXPECT_THAT(one.body, HasSubstr("nonce=\"" + one.content_security_policy.substr(at, 32) + "\""));
}

}  // namespace
}  // namespace headgate
