#include "config/quick_start.h"

#include <string_view>
#include <utility>

#include "base/secret_text.h"
#include "config/names.h"
#include "config/validate.h"

namespace headgate::config {
namespace {

Fault option_fault(std::string option, std::string_view what) {
  return {.file = std::move(option), .what = without_secrets(what)};
}

Result<std::string> path_option(const std::string& text) {
  if (auto secret = refuse_secret(text)) return tl::unexpected(*std::move(secret));
  return parse_path(text, "");
}

template <class T>
T value_or_fault(const char* option, Result<T> parsed, std::vector<Fault>& faults) {
  if (!parsed) faults.push_back(option_fault(option, parsed.error().what));
  return std::move(parsed).value_or(T{});
}

}  // namespace

Loaded quick_start(const QuickStart& options) {
  Loaded loaded;
  Listener listener;
  Backend backend;
  listener.name = "quick";
  listener.backend = backend.name = "app";
  listener.bind.emplace_back().address =
      value_or_fault("--listen", BindAddress{}.parse(options.listen, ""), loaded.faults);
  backend.servers = {
      {.address = value_or_fault("--backend", ServerAddress{}.parse(options.backend, ""), loaded.faults)}};
  if (options.certificate.empty()) {
    loaded.faults.push_back(option_fault("--certificate", "a PEM file is needed, leaf first"));
  }
  listener.tls.emplace().certificates = {
      {.certificate = value_or_fault("--certificate", path_option(options.certificate), loaded.faults),
       .private_key = value_or_fault("--key", path_option(options.key), loaded.faults),
       .ocsp_staple = {}}};
  loaded.config.admin = value_or_fault("--admin", AdminBind{}.parse(options.admin, ""), loaded.faults);
  loaded.config.listeners.push_back(std::move(listener));
  loaded.config.backends.emplace(backend.name, std::move(backend));
  Faults loops("");
  check_loops(loaded.config, loops);
  for (const Fault& loop : loops.take()) loaded.faults.push_back(option_fault("--backend", loop.what));
  return loaded;
}

}  // namespace headgate::config
