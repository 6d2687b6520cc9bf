#include "supervisor/watched_files.h"

#include <set>

#include "tls/certificate/certificate_directory.h"

namespace headgate {
namespace {

class Paths {
 public:
  void add(const std::string& path) {
    if (!path.empty()) paths_.insert(path);
  }
  void add_directory(const std::string& path) {
    if (!path.empty()) directories_.insert(path);
  }
  [[nodiscard]] WatchedFiles all() const {
    WatchedFiles watched{.files = {paths_.begin(), paths_.end()}, .entries = {}};
    for (const std::string& path : directories_) watched.entries.push_back({path, &belongs_in_directory});
    return watched;
  }

 private:
  std::set<std::string> paths_, directories_;
};

void add_tls(const config::Tls& tls, Paths& paths) {
  for (const auto& certificate : tls.certificates) {
    paths.add(certificate.certificate);
    paths.add(certificate.private_key);
    paths.add(certificate.ocsp_staple);
  }
  for (const auto& directory : tls.certificate_dirs) paths.add_directory(directory);
  paths.add(tls.client_auth.ca);
  paths.add(tls.client_auth.crl);
  paths.add(tls.resumption.secret_file);
}

}  // namespace

WatchedFiles watched_files(const config::Config& config, const std::string& config_file) {
  Paths paths;
  paths.add(config_file);
  for (const auto& listener : config.listeners) {
    if (listener.tls) add_tls(*listener.tls, paths);
  }
  for (const auto& [name, backend] : config.backends) {
    if (!backend.tls) continue;
    if (backend.tls->ca != "system") paths.add(backend.tls->ca);
    paths.add(backend.tls->certificate);
    paths.add(backend.tls->private_key);
  }
  return paths.all();
}

}  // namespace headgate
