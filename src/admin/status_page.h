#pragma once

#include <string>

namespace headgate {

/// The status page, one document that fetches only /status.json and /metrics, and the policy that holds the
/// browser to that (Content Security Policy Level 3, script and style by nonce).
struct StatusPage {
  std::string html;
  std::string content_security_policy;
};

/// The page with a fresh nonce. Any thread.
[[nodiscard]] StatusPage make_status_page();

}  // namespace headgate
