#include "tls/certificate/ocsp_staple.h"

#include <algorithm>
#include <optional>

#include "tls/library/asn1_time.h"
#include "tls/library/openssl_call.h"
#include "tls/library/openssl_types.h"

namespace headgate {
namespace {

/// What the response says of one certificate.
struct Answer {
  int status = V_OCSP_CERTSTATUS_UNKNOWN;
  WallTime next_update = WallTime::max();
};

bool has_serial(OCSP_SINGLERESP* single, std::span<const std::byte> serial) {
  ASN1_INTEGER* number = nullptr;
  auto* id = const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(single));
  if (OCSP_id_get0_info(nullptr, nullptr, nullptr, &number, id) != 1) return false;
  const EncodedOctets der = encoded<i2d_ASN1_INTEGER>(number);
  // Serial numbers have at most 20 bytes (RFC 5280, section 4.1.2.2): tag and length take two.
  return der.size >= 2 && std::ranges::equal(std::as_bytes(der.bytes().subspan(2)), serial);
}

std::optional<Answer> find_answer(OCSP_BASICRESP* basic, std::span<const std::byte> serial) {
  for (int i = 0; i < OCSP_resp_count(basic); ++i) {
    OCSP_SINGLERESP* single = OCSP_resp_get0(basic, i);
    if (!has_serial(single, serial)) continue;
    ASN1_GENERALIZEDTIME* next = nullptr;
    Answer answer;
    answer.status = OCSP_single_get0_status(single, nullptr, nullptr, nullptr, &next);
    if (next != nullptr) answer.next_update = wall_time(next);
    return answer;
  }
  return std::nullopt;
}

OcspBasicPtr parse_response(std::string_view der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const OcspResponsePtr response(d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(der.size())));
  if (response == nullptr || OCSP_response_status(response.get()) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
    return nullptr;
  return OcspBasicPtr(OCSP_response_get1_basic(response.get()));
}

}  // namespace

std::shared_ptr<const OcspStaple> read_ocsp_staple(std::string_view der, const std::string& file,
                                                   const StoredCertificate& certificate, WallTime now,
                                                   Diagnostics& out) {
  const auto error = [&](std::string what) {
    out.push_back({Severity::kError, file, std::move(what), "ocsp_staple"});
    return nullptr;
  };
  const auto basic = call_openssl(ErrorKind::kMalformed, "it is not a successful OCSP response in DER",
                                  [&] { return parse_response(der); });
  if (!basic) return error(basic.error().what);
  const auto fields = read_certificate(certificate.leaf_der());
  const auto answer = fields ? find_answer(basic->get(), fields->serial) : std::nullopt;
  if (!answer)
    return error("the OCSP response is not about the certificate " + std::string(certificate.file()));
  if (answer->status == V_OCSP_CERTSTATUS_REVOKED) {
    return error("the OCSP response says that the certificate " + std::string(certificate.file()) +
                 " is revoked");
  }
  if (answer->status != V_OCSP_CERTSTATUS_GOOD)
    return error("the OCSP response does not say that the certificate is good");
  if (answer->next_update <= now) {
    out.push_back(
        {Severity::kWarning, file, "the OCSP response has expired and is not stapled", "ocsp_staple"});
    return nullptr;
  }
  const auto* bytes = reinterpret_cast<const std::byte*>(der.data());
  return std::make_shared<OcspStaple>(OcspStaple{{bytes, bytes + der.size()}, answer->next_update});
}

}  // namespace headgate
