#include "supervisor/writable_directories.h"

#include <algorithm>
#include <filesystem>

namespace headgate {

std::vector<std::string> writable_directories(const config::Config& config, const std::string& log_file) {
  std::vector<std::string> directories;
  const auto add_directory_of = [&](const std::string& file) {
    directories.push_back(std::filesystem::path(file).parent_path().string());
  };
  const auto add_directory_of_socket = [&](const Address& address) {
    const std::string text = address.text();
    if (address.is_unix()) add_directory_of(text.substr(text.find(':') + 1));
  };
  if (!log_file.empty()) add_directory_of(log_file);
  if (config.admin) add_directory_of_socket(*config.admin);
  if (config.admin_metrics) add_directory_of_socket(*config.admin_metrics);
  for (const auto& listener : config.listeners) {
    for (const auto& bind : listener.bind) add_directory_of_socket(bind.address);
    if (listener.tls && !listener.tls->keylog_file.empty()) add_directory_of(listener.tls->keylog_file);
  }
  return directories;
}

}  // namespace headgate
