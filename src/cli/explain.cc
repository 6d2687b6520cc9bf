#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/close_reason.h"
#include "base/secret_text.h"
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/explain_backend.h"
#include "cli/explain_lines.h"
#include "cli/explain_tls.h"
#include "config/keys.h"
#include "config/load.h"
#include "snapshot/snapshot.h"
#include "tls/certificate/shown_certificate.h"
#include "tls/handshake/client_hello.h"
#include "tls/handshake/synthetic_hello.h"

namespace headgate {
namespace {

/// Collects the limits or timeouts that are on, as "connection_rate 10": a visitor of the table of keys.
struct LimitsInForce {
  bool with_handshakes = true;
  std::vector<std::string> found{};

  template <class Target, class Notation>
  void value(std::string_view key, const Target& target, const Notation& notation) {
    const bool is_of_handshakes =
        key.starts_with("handshake") || key.starts_with("hello_") || key == "max_handshakes";
    const std::string text = notation.text(target);
    const bool is_on = text != "0" && text != "0s";
    if (is_on && (with_handshakes || !is_of_handshakes)) found.push_back(std::string(key) + ' ' + text);
  }
  void map(std::string_view key, const config::Penalty& penalty) {
    if (penalty.failures == 0 || !with_handshakes) return;
    found.push_back(std::string(key) + " of " + config::duration_text(penalty.for_time) + " after " +
                    std::to_string(penalty.failures) + " failed handshakes within " +
                    config::duration_text(penalty.within));
  }
};

/// What is known of the client so far.
struct Client {
  const ClientHello* hello = nullptr;  ///< nullptr: plaintext.
  std::string alpn;                    ///< Negotiated; empty: none.
  std::optional<PeerIdentity> peer;
  const PrivateLink* link = nullptr;

  [[nodiscard]] RouteQuestion question() const {
    RouteQuestion question{.alpn = alpn, .link = link};
    if (hello != nullptr) question.sni = hello->server_name;
    if (peer && !peer->spiffe_id.empty()) question.spiffe_ids = std::span(&peer->spiffe_id, 1);
    return question;
  }
};

/// Follows a connection phase by phase and prints what each phase finds.
class Explanation {
 public:
  Explanation(const ExplainOptions& asked, const Snapshot& snapshot, const ListenerPolicy& listener)
      : asked_(asked), snapshot_(snapshot), listener_(listener) {
    client_.link = &asked.link;
  }

  /// Errors: an option is wrong, such as an address that cannot be parsed or a certificate file that cannot
  /// be read.
  Result<void> tell() {
    say_listener();
    const auto admitted = tell_source();
    if (!admitted) return tl::unexpected(admitted.error());
    if (!*admitted) return {};
    say_limits();
    say_timeouts();
    say_starttls();
    if (listener_.tls == nullptr) return tell_plaintext();
    const auto records = synthetic_client_hello(asked_.sni, asked_.alpn);
    if (!records) return tl::unexpected(records.error());
    const auto hello = parse_client_hello(*records);
    if (!hello) return tl::unexpected(hello.error());
    client_.hello = &*hello;
    return tell_tls(*hello);
  }

 private:
  void say_listener() const {
    std::vector<std::string> binds;
    for (const config::Bind& bind : listener_.config.bind)
      binds.push_back(bind.address.text() + (bind.ipv6_only ? ", IPv6 alone" : ""));
    say("listener", listener_.config.name + " (" + joined(binds) + ")" +
                        (listener_.config.transparent ? ", also for addresses of others" : ""));
  }

  /// Whether a limit is reached depends on the other connections, so all that may refuse or end this one are
  /// said.
  void say_limits() const {
    config::ProcessLimits process = snapshot_.config.limits;
    LimitsInForce of_process{.with_handshakes = listener_.tls != nullptr};
    config::visit_keys(of_process, process);
    if (!of_process.found.empty()) say("limits of the process", joined(of_process.found));
    config::Limits limits = listener_.config.limits;
    LimitsInForce of_listener{.with_handshakes = listener_.tls != nullptr};
    config::visit_keys(of_listener, limits);
    if (!of_listener.found.empty()) say("limits", joined(of_listener.found));
  }

  void say_timeouts() const {
    const config::Listener& listener = listener_.config;
    config::Timeouts timeouts = listener.timeouts;
    LimitsInForce in_force{.with_handshakes = listener.tls || listener.proxy_protocol || listener.starttls};
    config::visit_keys(in_force, timeouts);
    say("timeouts", joined(in_force.found));
  }

  void say_starttls() const {
    const auto& starttls = listener_.config.starttls;
    if (!starttls) return;
    std::string what = config::kStarttls.text(starttls) + " first, ";
    if (starttls == StarttlsProtocol::kMysql)
      what += "with the greeting of a server of " + listener_.config.backend + ", ";
    say("starttls", what + "then TLS");
  }

  void say_proxy_sources() const {
    if (!listener_.config.proxy_protocol) return;
    std::vector<std::string> networks;
    for (const Network& network : listener_.config.proxy_protocol->from)
      networks.push_back(config::NetworkText{}.text(network));
    say("proxy header", "required from " + joined(networks) + ", and not taken from others");
  }

  /// Whether the source may connect.
  Result<bool> tell_source() const {
    if (asked_.source.empty()) {
      say_proxy_sources();
      say("source", "not evaluated: give --source IP");
      return true;
    }
    const auto source = Address::from_ip(asked_.source, 0);
    if (!source) return fail(ErrorKind::kInvalid, "--source: " + source.error().what);
    if (listener_.config.proxy_protocol)
      say("proxy header", listener_.proxies.contains(*source)
                              ? "required from this source; the address in the header is evaluated instead"
                              : "not taken from this source");
    const Access access = listener_.access.evaluate(*source);
    say("source", asked_.source + ": " + std::string(name(access)) +
                      (listener_.probes.contains(*source) ? ", counts as a probe" : ""));
    if (access != Access::kAllowed) refuse(CloseReason::kSourceDenied, name(access));
    return access == Access::kAllowed;
  }

  Result<void> tell_plaintext() {
    say("tls", "none: the client sends plaintext");
    tell_routes();
    return {};
  }

  Result<void> tell_tls(const ClientHello& hello) {
    say("sni", hello.server_name.empty() ? "none" : hello.server_name);
    const auto passed =
        listener_.routes.passthrough({.sni = hello.server_name, .alpn = hello.alpn, .link = client_.link});
    if (passed) {
      say_routes(passed->route);
      say("certificate", "the backend's own: the bytes pass through as they came");
      say_backend(passed->backend);
      return {};
    }
    explain_tls_settings(listener_.tls->settings);
    if (!tell_certificate(hello) || !tell_alpn(hello)) return {};
    explain_dry_runs(listener_.tls->settings, hello);
    const auto let_in = tell_client();
    if (!let_in) return tl::unexpected(let_in.error());
    if (!*let_in) return {};
    explain_after_handshake(*listener_.tls, listener_.tls->rules_for(hello.server_name),
                            client_.peer.has_value());
    tell_routes();
    return {};
  }

  bool tell_certificate(const ClientHello& hello) const {
    const WallTime now = std::chrono::system_clock::now();
    const Selection selection = listener_.tls->certificates->select(hello, now);
    if (selection.certificate == nullptr) {
      say("certificate", "none");
      refuse(CloseReason::kHandshakeFailed,
             std::string(name(HandshakeFailure::kUnknownName)) + ": " + std::string(selection.why));
      return false;
    }
    say("certificate", std::string(selection.certificate->file()) + " (" +
                           std::string(name(selection.certificate->key_type())) +
                           "): " + std::string(selection.why));
    explain_certificate_extras(*listener_.tls, *selection.certificate, now);
    return true;
  }

  /// RFC 7301, section 3.2: the listener's preference decides, and nothing shared is fatal.
  bool tell_alpn(const ClientHello& hello) {
    const std::vector<std::string>& preferred = listener_.tls->settings.alpn;
    if (preferred.empty() || hello.alpn.empty()) {
      say("alpn", "none");
      return true;
    }
    const auto shared = std::ranges::find_if(
        preferred, [&](const std::string& protocol) { return hello.offers_alpn(protocol); });
    if (shared == preferred.end()) {
      say("alpn", "no protocol in common: the listener has " + joined(preferred));
      refuse(CloseReason::kHandshakeFailed, name(HandshakeFailure::kNoSharedAlpn));
      return false;
    }
    client_.alpn = *shared;
    say("alpn", client_.alpn);
    return true;
  }

  /// Whether the client may pass with its certificate, or without one.
  Result<bool> tell_client() {
    const std::size_t index = listener_.tls->index_for(client_.hello->server_name);
    const ClientRules& rules = listener_.tls->rules[index];
    if (index > 0) say("client rules", "by_name[" + std::to_string(index - 1) + "], for this name");
    if (!rules.ask()) {
      say("client", "not asked for a certificate");
      return true;
    }
    const WallTime now = std::chrono::system_clock::now();
    if (asked_.client_certificate.empty())
      return let_in("no certificate", rules, rules.peers->authorize(nullptr, now));
    auto evaluated = evaluate_peer_file(asked_.client_certificate, rules, now);
    if (!evaluated) return tl::unexpected(evaluated.error());
    client_.peer = std::move(evaluated->identity);
    const std::string who = client_.peer ? client_.peer->short_name() : asked_.client_certificate;
    if (!evaluated->answer.keeps_identity()) client_.peer.reset();
    return let_in(who, rules, evaluated->answer);
  }

  static bool let_in(const std::string& who, const ClientRules& rules, const Authorization& answer) {
    if (!answer.allowed && rules.only_count) {
      say("client",
          who + ": let in by dry_run, counted as " + std::string(name(answer.why)) + ": " + answer.detail);
      return true;
    }
    say("client", who + (answer.allowed ? ": allowed" : ": not allowed"));
    if (!answer.allowed) {
      refuse(CloseReason::kHandshakeFailed, std::string(name(answer.why)) + ": " + answer.detail);
    }
    return answer.allowed;
  }

  void tell_routes() const {
    const RouteDecision decision = listener_.routes.route(client_.question());
    say_routes(decision.route);
    if (!decision.backend.empty()) return say_backend(decision.backend);
    refuse(CloseReason::kNoRoute, "no route matches, and the listener has no backend of its own");
  }

  /// A line for each route up to the one that was taken.
  void say_routes(std::optional<std::size_t> taken) const {
    const auto& routes = listener_.routes.routes();
    const std::size_t end = taken ? *taken + 1 : routes.size();
    for (std::size_t i = 0; i < end; ++i) say("route " + std::to_string(i + 1), why(i, taken));
    if (!taken && !listener_.config.backend.empty()) say("route", "none; the listener's own backend");
  }

  std::string why(std::size_t index, std::optional<std::size_t> taken) const {
    const bool passthrough = listener_.routes.routes()[index].passthrough;
    if (index == taken) return passthrough ? "matches, passthrough" : "matches";
    RouteMatch match = listener_.routes.evaluate(index, client_.question());
    if (passthrough) match = evaluate_by_hello(index);
    if (match != RouteMatch::kMatches) return std::string(name(match));
    return passthrough ? "skipped: an earlier route ends TLS here" : "skipped";
  }

  /// A passthrough route needs a protocol that the client offers, not the negotiated one.
  RouteMatch evaluate_by_hello(std::size_t index) const {
    RouteQuestion question{.sni = client_.hello->server_name, .link = client_.link};
    RouteMatch match = listener_.routes.evaluate(index, question);
    for (const std::string_view protocol : client_.hello->alpn) {
      if (match == RouteMatch::kMatches) break;
      question.alpn = protocol;
      match = listener_.routes.evaluate(index, question);
    }
    return match;
  }

  void say_backend(std::string_view backend_name) const {
    const config::Backend& backend = snapshot_.config.backends.at(std::string(backend_name));
    const std::string_view sni = client_.hello != nullptr ? std::string_view(client_.hello->server_name) : "";
    explain_backend(backend, sni, client_.alpn);
    const bool postgres = listener_.config.starttls == StarttlsProtocol::kPostgres ||
                          (backend.tls && backend.tls->starttls == StarttlsProtocol::kPostgres);
    if (postgres) say("cancel requests", "to every address of " + addresses_of(backend));
  }

  const ExplainOptions& asked_;
  const Snapshot& snapshot_;
  const ListenerPolicy& listener_;
  Client client_;
};

std::shared_ptr<const Snapshot> load_snapshot(const std::string& file) {
  const config::Loaded loaded = load_configuration(file);
  for (const auto& fault : loaded.faults) std::cerr << fault.text() << '\n';
  if (!loaded.usable()) return nullptr;
  Diagnostics diagnostics;
  ServerDirectory directory;
  auto snapshot = Snapshot::build(loaded.config, {}, directory, std::chrono::system_clock::now(), diagnostics,
                                  KeyLogs::kLookAt);
  for (const auto& diagnostic : diagnostics) std::cerr << fault_of(diagnostic, loaded.places).text() << '\n';
  return snapshot;
}

std::string listener_names(const Snapshot& snapshot) {
  std::vector<std::string> names;
  for (const auto& listener : snapshot.listeners) names.push_back(listener->config.name);
  return joined(names);
}

}  // namespace

int explain_command(const ExplainOptions& options) {
  const auto snapshot = load_snapshot(options.config);
  if (snapshot == nullptr) return kExitConfiguration;
  const ListenerPolicy* listener = snapshot->find_listener(options.listener);
  if (listener == nullptr) {
    std::cerr << "headgate explain: there is no listener \"" << without_secrets(options.listener)
              << "\"; there is " << listener_names(*snapshot) << '\n';
    return kExitConfiguration;
  }
  const auto told = Explanation(options, *snapshot, *listener).tell();
  if (told) return kExitDone;
  std::cout << std::flush;
  std::cerr << "headgate explain: " << without_secrets(told.error().what) << '\n';
  return kExitConfiguration;
}

}  // namespace headgate
