#include "admin/own_host.h"

#include <algorithm>

#include "base/ascii.h"

namespace headgate {
namespace {

constexpr std::string_view kDecimalDigits = "0123456789";

/// The host of "host", "host:port", "[2001:db8::1]" or "[2001:db8::1]:port", in lower case and without a
/// final dot; empty where the text has another form.
std::string host_of(std::string_view text) {
  const bool bracketed = text.starts_with('[');
  const std::size_t end = bracketed ? text.find(']') : text.find(':');
  if (bracketed && end == text.npos) return {};
  std::string_view rest = end == text.npos ? std::string_view() : text.substr(bracketed ? end + 1 : end);
  if (!rest.empty() && (rest[0] != ':' || rest.find_first_not_of(kDecimalDigits, 1) != rest.npos)) return {};
  std::string host(bracketed ? text.substr(1, end - 1) : text.substr(0, end));
  if (bracketed != (host.find(':') != host.npos)) return {};
  if (host.ends_with('.')) host.pop_back();
  return ascii_lower(host);
}

bool is_address_of(const Address& bound, const Address& host) {
  const std::string own = bound.host_text();
  return host.is_loopback() || own == "0.0.0.0" || own == "::" || own == host.host_text();
}

bool matches(const std::string& host, const std::string& pattern) {
  const std::string own = host_of(pattern);
  if (!own.starts_with("*.")) return host == own;
  const std::size_t dot = host.find('.');
  return dot != host.npos && dot > 0 && host.compare(dot, host.npos, own, 1) == 0;
}

bool is_the_address(const Address& host, const std::string& text) {
  const auto named = Address::from_ip(text, 0);
  return named && named->host_text() == host.host_text();
}

}  // namespace

bool is_own_host(std::string_view host, const Address& bound, const std::vector<std::string>& names) {
  const std::string own = host_of(host);
  if (own.empty()) return false;
  if (const auto address = Address::from_ip(own, 0)) {
    return is_address_of(bound, *address) || std::ranges::any_of(names, [&](const std::string& name) {
             return is_the_address(*address, name);
           });
  }
  if (own == "localhost" || (bound.is_unix() && own.find('.') == own.npos)) return true;
  return std::ranges::any_of(names, [&](const std::string& name) { return matches(own, name); });
}

}  // namespace headgate
