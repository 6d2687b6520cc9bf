#include "config/quick_start.h"

#include <utility>

#include "config/names.h"

namespace headgate::config {
namespace {

Fault option_fault(std::string option, std::string what) {
  return {.file = std::move(option), .what = std::move(what)};
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
  listener.bind = {value_or_fault("--listen", BindAddress{}.parse(options.listen, ""), loaded.faults)};
  backend.servers = {
      {.address = value_or_fault("--backend", ServerAddress{}.parse(options.backend, ""), loaded.faults)}};
  if (options.certificate.empty()) {
    loaded.faults.push_back(option_fault("--certificate", "a PEM file is needed, leaf first"));
  }
  listener.tls.emplace().certificates = {
      {.certificate = options.certificate, .private_key = options.key, .ocsp_staple = {}}};
  loaded.config.listeners.push_back(std::move(listener));
  loaded.config.backends.emplace(backend.name, std::move(backend));
  return loaded;
}

}  // namespace headgate::config
