#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/fault.h"

/// The files of a configuration: how one is read, and which ones `include` names.
namespace headgate::config {

/// The most files that a configuration may have.
inline constexpr std::size_t kMostFiles = 10'000;

/// The directory of the file `path`, absolute.
[[nodiscard]] std::string directory_of(const std::string& path);

/// What is left to read of `descriptor`: at most one byte more than the longest document, so that reading an
/// endless device ends. Errors: kSystem.
[[nodiscard]] Result<std::string> read_to_end(int descriptor);

/// The whole file at `path`, as read_to_end() does. Errors: kSystem.
[[nodiscard]] Result<std::string> read_whole(const std::string& path);

/// Whether a file with this name in an included directory belongs to the configuration: "*.yaml", unless it
/// is hidden.
[[nodiscard]] bool is_included(std::string_view name);

/// A file that `include` names, or that is in a directory which it names.
struct IncludedFile {
  std::string path;        ///< As it is opened.
  std::uint32_t file = 0;  ///< Its number in the places of the faults.
  std::string text;
};

/// The file that includes others.
struct MainFile {
  std::string name;       ///< As faults name it.
  std::string directory;  ///< What paths in it are relative to.
  std::size_t bytes = 0;
};

/// Reads the files of `include`, in its order; those of a directory by name. Faults name a file below the
/// directory of `main` as they name `main`. What cannot be read is a fault, and so is a file that is named
/// twice, or that is empty as half written ones are; it is left out of the result. `main` and all the others
/// have at most kLongestDocumentBytes together. Any thread.
[[nodiscard]] std::vector<IncludedFile> read_included(const std::vector<std::string>& include,
                                                      const MainFile& main, Faults& faults);

}  // namespace headgate::config
