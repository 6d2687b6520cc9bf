#include "admin/status_page.h"

#include <sys/random.h>

#include <array>
#include <string_view>

#include "admin/status_page_html.h"
#include "base/check.h"
#include "base/hex.h"

namespace headgate {
namespace {

constexpr std::string_view kNoncePlace = "__NONCE__";

std::string fresh_nonce() {
  std::array<std::byte, 16> random;
  HG_CHECK(::getrandom(random.data(), random.size(), 0) == static_cast<ssize_t>(random.size()));
  return hex_of(random);
}

}  // namespace

StatusPage make_status_page() {
  const std::string nonce = fresh_nonce();
  StatusPage page;
  std::string_view rest = kStatusPageHtml;
  for (auto at = rest.find(kNoncePlace); at != rest.npos; at = rest.find(kNoncePlace)) {
    page.html.append(rest.substr(0, at)).append(nonce);
    rest.remove_prefix(at + kNoncePlace.size());
  }
  page.html.append(rest);
  page.content_security_policy = "default-src 'none'; script-src 'nonce-" + nonce + "'; style-src 'nonce-" +
                                 nonce +
                                 "'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                                 "frame-ancestors 'none'";
  return page;
}

}  // namespace headgate
