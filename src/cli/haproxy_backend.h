#pragma once

#include <vector>

#include "cli/haproxy_file.h"
#include "cli/import.h"

namespace headgate {

/// Adds the backend of a `backend` or `listen` section to `into`, and a note for each word that has no equal.
/// `defaults` are the lines of the `defaults` section that applies to it.
void import_haproxy_backend(const HaproxySection& section, const std::vector<HaproxyLine>& defaults,
                            Imported& into);

}  // namespace headgate
