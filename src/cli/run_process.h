#pragma once

#include <functional>

#include "admin/admin_server.h"
#include "supervisor/supervisor.h"

namespace headgate {

/// Runs the proxy until it ends: log, supervisor, workers, admin endpoint. Returns the exit code of the
/// contract; what keeps it from starting is on stderr. `started` is called once everything listens; `admin`
/// is null where it is off.
[[nodiscard]] int run_process(
    Supervisor::Settings settings,
    const std::function<void(const Supervisor&, const AdminServer* admin)>& started = {});

}  // namespace headgate
