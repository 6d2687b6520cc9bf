#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/units.h"
#include "tls/certificate/certificate.h"
#include "tls/handshake/diagnostic.h"

namespace headgate {

/// Reads an OCSP response (DER) to staple to `certificate`. RFC 6960, section 4.2.
///
/// Faults go to `out` under the name `file`; nullptr when one of them is an error: not a response, about
/// another certificate, or not "good". An expired response is a warning, and nothing is stapled. Any thread.
[[nodiscard]] std::shared_ptr<const OcspStaple> read_ocsp_staple(std::string_view der,
                                                                 const std::string& file,
                                                                 const StoredCertificate& certificate,
                                                                 WallTime now, Diagnostics& out);

}  // namespace headgate
