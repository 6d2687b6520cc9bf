#pragma once

#include <memory>

#include "base/result.h"
#include "net/address.h"

struct MHD_Daemon;

namespace headgate {

/// A small HTTP server for the demo: it answers every request with a page that says how the request came. It
/// has one thread of its own.
class DemoBackend {
 public:
  /// Makes one on a free port of 127.0.0.1. Errors: kSystem.
  [[nodiscard]] static Result<std::unique_ptr<DemoBackend>> open();
  ~DemoBackend();
  DemoBackend(const DemoBackend&) = delete;
  DemoBackend& operator=(const DemoBackend&) = delete;

  [[nodiscard]] const Address& address() const { return address_; }

 private:
  DemoBackend(MHD_Daemon* server, Address address) : server_(server), address_(address) {}

  MHD_Daemon* server_;
  Address address_;
};

}  // namespace headgate
