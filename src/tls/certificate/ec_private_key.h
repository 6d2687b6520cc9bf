#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace headgate {

/// The private number in the DER of an EC key, PKCS#8 or SEC 1; nullopt for any other key. A view.
[[nodiscard]] std::optional<std::span<const std::byte>> ec_private_number(std::span<const std::byte> key_der);

}  // namespace headgate
