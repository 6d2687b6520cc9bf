#pragma once

#include <cstdint>

#include "net/address.h"

namespace headgate {

/// One of the addresses of a name. Of a service (SRV, RFC 2782) it has its port and its place among the
/// others: connections go to those of the lowest priority that can be reached, each as often as its weight.
struct ResolvedAddress {
  // The addresses of a host differ in nothing else, so an address is one of its own accord.
  // NOLINTNEXTLINE(google-explicit-constructor)
  ResolvedAddress(const Address& the_address, std::uint16_t the_priority = 0, std::uint32_t the_weight = 1)
      : address(the_address), priority(the_priority), weight(the_weight) {}

  Address address;
  std::uint16_t priority;
  std::uint32_t weight;  ///< At least 1.

  friend bool operator==(const ResolvedAddress&, const ResolvedAddress&) = default;
};

}  // namespace headgate
