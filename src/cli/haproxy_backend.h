#pragma once

#include "cli/haproxy_file.h"
#include "cli/import.h"

namespace headgate {

/// Adds the backend of a `backend` or `listen` section to `into`, and takes the words that it has.
void import_haproxy_backend(const HaproxyProxy& proxy, const HaproxyGlobal& global, Imported& into);

}  // namespace headgate
