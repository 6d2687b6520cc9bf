#include "base/result.h"

#include <system_error>

namespace headgate {

tl::unexpected<Error> fail_errno(std::string_view doing, int error_number) {
  return fail(ErrorKind::kSystem, std::string(doing) + ": " + std::system_category().message(error_number));
}

}  // namespace headgate
