#include "supervisor/watched_files.h"

#include <filesystem>
#include <set>

namespace headgate {
namespace {

class Paths {
 public:
  void add(const std::string& path) {
    if (!path.empty()) paths_.insert(path);
  }
  void add_directory(const std::string& path) {
    add(path);
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(path, ignored)) add(entry.path().string());
  }
  [[nodiscard]] std::vector<std::string> all() const { return {paths_.begin(), paths_.end()}; }

 private:
  std::set<std::string> paths_;
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

std::vector<std::string> watched_files(const config::Config& config, const std::string& config_file) {
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
