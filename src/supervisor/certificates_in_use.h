#pragma once

#include <vector>

#include "connection/handover_message.h"
#include "snapshot/snapshot.h"

/// The certificates that an upgrade hands over, so that no name is lost and no certificate that clients
/// refused comes back: each file may have changed, for the worse, since it was read. Supervisor.
namespace headgate {

/// The certificates of the process that serves: all listed ones, and those of directories whose file is
/// refused now.
[[nodiscard]] std::vector<HandoverCertificate> certificates_to_leave(const Snapshot& snapshot);

/// The same certificates in the process that takes over. One that this program cannot read is left out.
[[nodiscard]] CertificatesInUse inherited_certificates(const std::vector<HandoverCertificate>& messages);

}  // namespace headgate
