#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

/// The files of other programs, before anything is known of their words. Any thread.
namespace headgate {

/// The bytes of `file`. Errors: kInvalid if it is a directory, larger than 16 MiB, or cannot be read; the
/// text goes behind the file's name.
[[nodiscard]] Result<std::string> read_import_file(const std::string& file);
/// What shows that `text` is no configuration; empty if nothing does. Names no byte of it.
[[nodiscard]] std::string fault_of_import(std::string_view text);

}  // namespace headgate
