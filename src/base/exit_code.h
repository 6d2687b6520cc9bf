#pragma once

/// How the process ends, for scripts and for systemd.
namespace headgate {

inline constexpr int kExitDone = 0;
inline constexpr int kExitConfiguration = 1;  ///< The configuration, or a file that it names, is at fault.
inline constexpr int kExitCommandLine = 2;
inline constexpr int kExitCannotStart =
    3;  ///< The machine does not allow it: an address is in use, or a right is missing.

}  // namespace headgate
