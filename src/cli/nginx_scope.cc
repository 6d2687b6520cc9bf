#include "cli/nginx_scope.h"

#include <algorithm>
#include <iterator>

#include "cli/import_words.h"

namespace headgate {
namespace {

constexpr KnownLoss kNginxStaple{Loss::kHarmless, "left out: give each certificate its ocsp_staple"};
constexpr KnownLoss kNoOcspOfClients{
    Loss::kRule, "no equivalent in Headgate, which asks no OCSP responder: give client_auth.crl"};

KnownLosses losses_of_main() {
  return {
      {"daemon", kOwnWay},
      {"debug_points", kOwnWay},
      {"env", kOwnWay},
      {"error_log", kOwnLog},
      {"events", kOwnWay},
      {"load_module", kOwnWay},
      {"lock_file", kOwnWay},
      {"master_process", kOwnWay},
      {"pcre_jit", kOwnWay},
      {"pid", kOwnWay},
      {"thread_pool", kOwnWay},
      {"timer_resolution", kOwnWay},
      {"worker_aio_requests", kOwnWay},
      {"worker_cpu_affinity", {Loss::kHarmless, "left out: see workers.cpus"}},
      {"worker_priority", kOwnWay},
      {"worker_rlimit_core", kOwnWay},
      {"worker_rlimit_nofile", kOwnWay},
      {"working_directory", kOwnWay},
      {"http", {Loss::kRule, "not carried over: Headgate does not read HTTP; its servers stay with nginx"}},
      {"mail", {Loss::kRule, "not carried over: see starttls; its servers stay with nginx"}},
  };
}

KnownLosses losses_of_stream() {
  return {
      {"access_log", kOwnLog},
      {"limit_conn_log_level", kOwnLog},
      {"limit_conn_status", kOwnLog},
      {"limit_conn_zone", kOwnWay},
      {"log_format", kOwnLog},
      {"map_hash_bucket_size", kOwnWay},
      {"map_hash_max_size", kOwnWay},
      {"open_log_file_cache", kOwnLog},
      {"preread_buffer_size", kOwnWay},
      {"preread_timeout",
       {Loss::kHarmless, "left out: Headgate waits for the ClientHello until timeouts.handshake"}},
      {"proxy_buffer_size", kOwnWay},
      {"proxy_half_close", {Loss::kHarmless, "left out: see timeouts.half_close"}},
      {"proxy_next_upstream_timeout", kOwnWay},
      {"proxy_protocol_timeout",
       {Loss::kHarmless, "left out: Headgate waits for the header until timeouts.handshake"}},
      {"proxy_socket_keepalive", kOwnWay},
      {"proxy_ssl_session_reuse", kOwnWay},
      {"resolver", {Loss::kHarmless, "left out: Headgate asks the servers of /etc/resolv.conf"}},
      {"resolver_timeout", kOwnWay},
      {"ssl_dhparam", {Loss::kHarmless, "left out: OpenSSL chooses the parameters"}},
      {"ssl_prefer_server_ciphers", {Loss::kHarmless, "left out: the server's order holds in Headgate"}},
      {"ssl_session_cache", {Loss::kHarmless, "left out: sessions live in tickets; see resumption"}},
      {"ssl_stapling", kNginxStaple},
      {"ssl_stapling_file", kNginxStaple},
      {"ssl_stapling_responder", kNginxStaple},
      {"ssl_stapling_verify", kNginxStaple},
      {"tcp_nodelay", kOwnWay},
      {"variables_hash_bucket_size", kOwnWay},
      {"variables_hash_max_size", kOwnWay},
      {"volatile", kOwnWay},
      {"zone", kOwnWay},
      {"ssl_ocsp", kNoOcspOfClients},
      {"ssl_ocsp_responder", kNoOcspOfClients},
      {"ssl_password_file",
       {Loss::kRule,
        "no equivalent in Headgate: decrypt the private key, and keep its file for the user alone"}},
      {"ssl_session_ticket_key",
       {Loss::kRule, "no equivalent in Headgate: use resumption.secret_file (headgate ticket-key new)"}},
      {"server_name",
       {Loss::kRule, "no equivalent in Headgate: write the names into routes, and client_auth.by_name"}},
      {"ssl_verify_depth",
       {Loss::kRule,
        "no equivalent in Headgate, where eight certificates may lie between a client and the CA"}},
      {"geo", {Loss::kRule, "no equivalent in Headgate: write networks into allow and deny"}},
      {"split_clients",
       {Loss::kRule, "no equivalent in Headgate: servers of one backend share connections by weight"}},
      {"limit_conn",
       {Loss::kRule,
        "only a number for each $binary_remote_addr or $remote_addr, of one listener, has an equal"}},
      {"proxy_pass",
       {Loss::kRule,
        "only an address, an upstream, and a map of $ssl_preread_server_name, $ssl_server_name or "
        "$ssl_alpn_protocol have an equal"}},
  };
}

}  // namespace

const KnownLosses& nginx_losses() {
  static const KnownLosses losses = [] {
    KnownLosses all = losses_of_main();
    all.merge(losses_of_stream());
    return all;
  }();
  return losses;
}

std::vector<Directive*> NginxScope::all(std::string_view name) const {
  return all_of({name});
}

std::vector<Directive*> NginxScope::all_of(std::initializer_list<std::string_view> names) const {
  std::vector<Directive*> found;
  std::ranges::copy_if(lines_, std::back_inserter(found), [&names](const Directive* line) {
    return std::ranges::find(names, line->key()) != names.end();
  });
  return found;
}

Directive* NginxScope::find(std::string_view name) const {
  const auto found = all(name);
  return found.empty() ? nullptr : found.back();
}

std::string NginxScope::look(std::string_view name) const {
  const Directive* line = find(name);
  return line == nullptr ? std::string() : line->value();
}

std::string NginxScope::take(std::string_view name) {
  std::string value;
  for (Directive* line : all(name)) {
    if (has_variable(line->value())) continue;
    line->take(0);
    line->take(1);
    value = line->value();
  }
  return value;
}

std::string NginxScope::path(const std::string& text) const {
  return path_below(directory_, text);
}

std::string NginxScope::take_path(std::string_view name) {
  return path(take(name));
}

bool NginxScope::take_time(std::string_view name, std::chrono::milliseconds& into) {
  const auto time = time_of(look(name));
  if (!time || time->count() == 0) return false;
  take(name);
  into = *time;
  return true;
}

bool NginxScope::take_switch(std::string_view name, bool otherwise) {
  const auto on = nginx_switch(look(name));
  if (on) take(name);
  return on.value_or(otherwise);
}

}  // namespace headgate
