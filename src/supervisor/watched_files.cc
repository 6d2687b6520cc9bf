#include "supervisor/watched_files.h"

#include <filesystem>
#include <set>
#include <system_error>

#include "config/included.h"
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
  void add_included(const std::string& path) {
    std::error_code none;
    (std::filesystem::is_directory(path, none) ? included_directories_ : paths_).insert(path);
  }
  [[nodiscard]] WatchedFiles all() const {
    WatchedFiles watched{.files = {paths_.begin(), paths_.end()}, .entries = {}};
    for (const std::string& path : directories_) watched.entries.push_back({path, &belongs_in_directory});
    for (const std::string& path : included_directories_)
      watched.entries.push_back({path, &config::is_included});
    return watched;
  }

 private:
  std::set<std::string> paths_, directories_, included_directories_;
};

void add_client_auth(const config::ClientAuth& client_auth, Paths& paths) {
  paths.add(client_auth.ca);
  for (const auto& [domain, file] : client_auth.domain_cas) paths.add(file);
  paths.add(client_auth.crl);
}

void add_tls(const config::Tls& tls, Paths& paths) {
  for (const auto& certificate : tls.certificates) {
    paths.add(certificate.certificate);
    paths.add(certificate.private_key);
    paths.add(certificate.ocsp_staple);
  }
  for (const auto& directory : tls.certificate_dirs) paths.add_directory(directory);
  add_client_auth(tls.client_auth, paths);
  for (const auto& named : tls.client_auth_by_name) add_client_auth(named.rules, paths);
  paths.add(tls.resumption.secret_file);
}

}  // namespace

WatchedFiles watched_files(const config::Config& config, const ConfigFiles& config_files) {
  Paths paths;
  paths.add(config_files.main);
  for (const std::string& path : config_files.include) paths.add_included(path);
  paths.add(config.admin_token_file);
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
