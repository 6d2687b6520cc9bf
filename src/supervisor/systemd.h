#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "net/address.h"
#include "net/fd.h"

/// The messages between this process and systemd (sd_notify(3), sd_listen_fds(3)). Every call does nothing
/// where no systemd listens. Any thread. The unit is of `Type=notify-reload`.
namespace headgate::systemd {

/// Says that the start, a reload or an upgrade is over: "READY=1". `status` is the line in `systemctl
/// status`.
void notify_ready(std::string_view status);
/// Says that a reload begins now: "RELOADING=1" with the time by the monotonic clock, as notify-reload wants.
/// The caller must call notify_ready() afterwards, whether the reload succeeded or not.
void notify_reloading();
/// Says that the drain begins: "STOPPING=1".
void notify_stopping(std::string_view status);
/// Sets only the line in `systemctl status`.
void notify_status(std::string_view status);
/// Says that `pid` is the service's main process from now on: an upgrade says so before the old process ends.
void notify_main_process(int pid);

/// Returns how often feed_watchdog() must be called: half of WatchdogSec=, so that one late call does no
/// harm. nullopt: the unit has no watchdog.
[[nodiscard]] std::optional<Duration> watchdog_interval();
/// Sends "WATCHDOG=1". Call it only while every loop turns.
void feed_watchdog();

/// A listening socket that systemd made for us.
struct ActivatedSocket {
  Fd fd;
  Address address;
  std::string name;  ///< FileDescriptorName= of the socket unit.
};

/// Returns the sockets passed to this process ($LISTEN_FDS), made non-blocking and close-on-exec; empty where
/// systemd passed none. Takes the environment variables away, so that a child does not take the sockets for
/// its own. Call once, before threads start. Errors: kInvalid for a descriptor that is no listening stream
/// socket; the text has its name and the change to make.
[[nodiscard]] Result<std::vector<ActivatedSocket>> take_activated_sockets();

/// The same for the `count` descriptors from `first` on, named by `names` in order; missing names are empty.
[[nodiscard]] Result<std::vector<ActivatedSocket>> adopt_sockets(int first, int count,
                                                                 const std::vector<std::string>& names);

}  // namespace headgate::systemd
