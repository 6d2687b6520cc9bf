#pragma once

#include <functional>

#include "admin/admin_server.h"
#include "supervisor/supervisor.h"

namespace headgate {

/// Runs the proxy until it ends: log, supervisor, workers, admin endpoint. Returns the exit code of the
/// contract; the reason why it cannot start goes to stderr. Calls `started` once when everything listens;
/// `admin` is null if it is off.
[[nodiscard]] int run_process(
    Supervisor::Settings settings,
    const std::function<void(const Supervisor&, const AdminServer* admin)>& started = {});

}  // namespace headgate
