#include "net/service_records.h"

#include <arpa/nameser.h>
#include <resolv.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

namespace headgate {
namespace {

/// Before the name of the target stand priority, weight and port, of 16 bits each.
constexpr std::size_t kNumbersBytes = 6;

// Of weights that differ, the least that is not 0 is so many times the weight of a record that has 0.
constexpr std::uint32_t kScale = 16;

bool is_host_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
}

std::uint16_t number_at(const ns_rr& record, std::size_t at) {
  const u_char* data = ns_rr_rdata(record);
  return static_cast<std::uint16_t>(data[at] << 8 | data[at + 1]);
}

/// Nothing: the record is damaged.
std::optional<ServiceTarget> target_of(const ns_msg& message, const ns_rr& record) {
  if (ns_rr_rdlen(record) <= kNumbersBytes) return std::nullopt;
  std::array<char, NS_MAXDNAME> name{};
  const int size = ::dn_expand(ns_msg_base(message), ns_msg_end(message), ns_rr_rdata(record) + kNumbersBytes,
                               name.data(), static_cast<int>(name.size()));
  if (size < 0) return std::nullopt;
  return ServiceTarget{.host = name.data(),
                       .port = number_at(record, 4),
                       .priority = number_at(record, 0),
                       .weight = number_at(record, 2)};
}

void scale_weights(std::vector<ServiceTarget>& targets) {
  const std::uint32_t first = targets.front().weight;
  const bool equal =
      std::ranges::all_of(targets, [&](const ServiceTarget& one) { return one.weight == first; });
  for (ServiceTarget& one : targets) one.weight = equal || one.weight == 0 ? 1 : one.weight * kScale;
}

tl::unexpected<Error> damaged() {
  return fail(ErrorKind::kMalformed, "the name server's answer is damaged");
}

}  // namespace

Result<ServiceRecords> parse_service_records(std::span<const std::byte> answer) {
  ns_msg message{};
  const auto* bytes = reinterpret_cast<const u_char*>(answer.data());
  if (::ns_initparse(bytes, static_cast<int>(answer.size()), &message) != 0) return damaged();
  ServiceRecords found;
  std::optional<std::uint32_t> ttl_seconds;
  for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
    ns_rr record{};
    if (::ns_parserr(&message, ns_s_an, i, &record) != 0) return damaged();
    if (ns_rr_type(record) != ns_t_srv || ns_rr_class(record) != ns_c_in) continue;
    auto target = target_of(message, record);
    if (!target) return damaged();
    ttl_seconds =
        std::min(ttl_seconds.value_or(ns_rr_ttl(record)), static_cast<std::uint32_t>(ns_rr_ttl(record)));
    if (target->port != 0 && is_host_name(target->host)) found.targets.push_back(*std::move(target));
  }
  if (!ttl_seconds) return fail(ErrorKind::kNotFound, "the name has no SRV record");
  if (found.targets.empty())
    return fail(ErrorKind::kNotFound, "its SRV records say that there is no such service");
  std::ranges::stable_sort(found.targets, {}, &ServiceTarget::priority);
  if (found.targets.size() > kMaxServiceTargets) found.targets.resize(kMaxServiceTargets);
  scale_weights(found.targets);
  found.ttl = std::chrono::seconds(*ttl_seconds);
  return found;
}

}  // namespace headgate
