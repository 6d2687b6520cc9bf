#include "cli/import_words.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <utility>

#include "base/ascii.h"

namespace headgate {
namespace {

constexpr std::string_view kBlanks = " \t\r\n\v\f";

bool is_path(std::string_view text) {
  return text.starts_with('/') || text.starts_with('@');
}

/// Host and port of "HOST:PORT" or "PORT", the host without brackets.
std::pair<std::string_view, std::string_view> host_and_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return {{}, text};
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return {host, text.substr(colon + 1)};
}

std::string with_port(std::string_view host, std::string_view port) {
  const bool ipv6 = host.find(':') != std::string_view::npos;
  return (ipv6 ? "[" + std::string(host) + "]" : std::string(host)) + ":" + std::string(port);
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::vector<std::string> parts_of(std::string_view text, std::string_view separators) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t begin = text.find_first_not_of(separators);
    if (begin == std::string_view::npos) return parts;
    text.remove_prefix(begin);
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::optional<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<bool> switch_of(std::string_view text) {
  const std::string word = ascii_lower(text);
  if (word == "on" || word == "yes" || word == "y" || word == "true" || word == "t") return true;
  if (word == "off" || word == "no" || word == "n" || word == "false" || word == "f") return false;
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> time_of(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::uint64_t>, 9> kUnits{{{"ms", 1},
                                                                              {"s", 1'000},
                                                                              {"", 1'000},
                                                                              {"m", 60'000},
                                                                              {"h", 3'600'000},
                                                                              {"d", 86'400'000},
                                                                              {"w", 604'800'000},
                                                                              {"M", 2'592'000'000},
                                                                              {"y", 31'536'000'000}}};
  if (text.empty()) return std::nullopt;
  std::uint64_t total = 0;
  while (!text.empty()) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = number_of(text.substr(0, digits));
    text.remove_prefix(digits);
    const std::size_t letters = std::min(text.find_first_of("0123456789 "), text.size());
    const auto* const unit = std::ranges::find(kUnits, text.substr(0, letters),
                                               &std::pair<std::string_view, std::uint64_t>::first);
    text.remove_prefix(letters);
    text = trimmed(text);
    if (!number || unit == kUnits.end()) return std::nullopt;
    total += *number * unit->second;
  }
  constexpr std::uint64_t kLongest = 3650ULL * 86'400'000;  // ten years
  return std::chrono::milliseconds(std::min(total, kLongest));
}

std::vector<TextLine> lines_of(std::string_view text) {
  std::vector<TextLine> lines;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back({number, trimmed(text.substr(0, end))});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

Result<Address> bind_of(std::string_view text, AnyAddress any) {
  if (is_path(text)) return Address::parse("unix:" + std::string(text));
  auto [host, port] = host_and_port(text);
  if (host == "*") host = {};
  if (host.empty() && any == AnyAddress::kIpv4) host = "0.0.0.0";
  if (host == "localhost") host = "127.0.0.1";
  return Address::parse(with_port(host, port));
}

std::string server_of(std::string_view text) {
  if (is_path(text)) return "unix:" + std::string(text);
  const auto [host, port] = host_and_port(text);
  return with_port(host.empty() || host == "*" ? "localhost" : host, port);
}

std::string label_of(std::string_view text) {
  std::string label(text);
  const auto is_fit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._-").find(c) != std::string_view::npos;
  };
  std::ranges::replace_if(label, [&](char c) { return !is_fit(c); }, '-');
  return label.empty() ? "unnamed" : label;
}

std::string path_below(const std::string& directory, const std::string& path) {
  if (path.empty() || directory.empty() || path.starts_with('/')) return path;
  return directory + (directory.ends_with('/') ? "" : "/") + path;
}

std::optional<Network> network_of(std::string_view text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto host = Network::parse(text.substr(0, slash));
  if (!host || slash == text.size()) return host ? std::optional(*host) : std::nullopt;
  const auto bits = number_of(text.substr(slash + 1));
  const bool ipv4 = text.find(':') == std::string_view::npos;
  if (!bits || *bits > (ipv4 ? 32U : 128U)) return std::nullopt;
  std::array<std::uint8_t, 16> bytes{};
  std::ranges::copy(host->bytes(), bytes.begin());
  const auto kept = static_cast<std::size_t>(*bits + (ipv4 ? 96 : 0));
  for (std::size_t bit = kept; bit < 128; ++bit)
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] & ~(0x80U >> (bit % 8)));
  std::string cleared;
  for (std::size_t i = ipv4 ? 12 : 0; i < 16; ++i) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    if (ipv4) {
      cleared += (cleared.empty() ? "" : ".") + std::to_string(bytes[i]);
    } else {
      cleared += i % 2 == 0 && i > 0 ? ":" : "";
      (cleared += kDigits[bytes[i] >> 4]) += kDigits[bytes[i] & 0xf];
    }
  }
  const auto network = Network::parse(cleared + '/' + std::to_string(*bits));
  return network ? std::optional(*network) : std::nullopt;
}

std::vector<std::string> groups_of(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kNames{
      {{"prime256v1", "P-256"}, {"secp256r1", "P-256"}, {"secp384r1", "P-384"}, {"secp521r1", "P-521"}}};
  std::vector<std::string> groups = parts_of(text, ":, ");
  for (std::string& group : groups) {
    for (const auto& [theirs, ours] : kNames) {
      if (group == theirs) group = ours;
    }
  }
  return groups;
}

std::optional<TlsNumber> tls_number_of(std::string_view text) {
  static const std::map<std::string_view, TlsNumber> numbers = {
      {"sslv2", 2},    {"sslv3", 3},    {"tlsv1", 10},   {"tlsv1.0", 10}, {"tlsv10", 10},
      {"tlsv1.1", 11}, {"tlsv11", 11},  {"tlsv1_1", 11}, {"tlsv1.2", 12}, {"tlsv12", 12},
      {"tlsv1_2", 12}, {"tlsv1.3", 13}, {"tlsv13", 13},  {"tlsv1_3", 13}};
  const auto found = numbers.find(ascii_lower(text));
  return found == numbers.end() ? std::nullopt : std::optional(found->second);
}

void TlsVersions::apply(config::Tls& tls) const {
  tls.min_version = tls12_ ? config::TlsVersion::kTls12 : config::TlsVersion::kTls13;
  tls.max_version = tls13_ || !tls12_ ? config::TlsVersion::kTls13 : config::TlsVersion::kTls12;
}

config::ClientAuthMode stricter(config::ClientAuthMode one, config::ClientAuthMode other) {
  return std::max(one, other);
}

void add_bind(Imported& into, config::Listener& listener, std::string_view text, AnyAddress any, int line) {
  const auto address = bind_of(text, any);
  if (address) {
    listener.bind.emplace_back().address = *address;
  } else {
    into.lose(line, "\"" + std::string(text) + "\": " + address.error().what);
  }
}

void keep_to_ipv6(std::span<config::Bind> binds) {
  for (config::Bind& bind : binds) bind.ipv6_only = bind.address.is_every_ipv6();
}

}  // namespace headgate
