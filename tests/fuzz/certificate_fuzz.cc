#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "tls/certificate/certificate.h"

/// A certificate file as an operator or a half-finished copy may leave it, and the DER in it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto fields = headgate::read_certificate(bytes);
  if (fields) static_cast<void>(headgate::compare_key(bytes, *fields));
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  headgate::ChainPool chains;
  headgate::Diagnostics out;
  static_cast<void>(headgate::check_certificate({"fuzz.pem", "fuzz.pem", text, text},
                                                headgate::CertificatePurpose::kServer,
                                                std::chrono::system_clock::now(), chains, out));
  return 0;
}
