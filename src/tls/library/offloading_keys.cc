#include "tls/library/offloading_keys.h"

#include "base/check.h"

namespace headgate {
namespace {

thread_local std::shared_ptr<PrivateKeyOperation>* offloading_to = nullptr;

}  // namespace

OffloadingKeys::OffloadingKeys(std::shared_ptr<PrivateKeyOperation>* into) {
  HG_CHECK(offloading_to == nullptr);
  offloading_to = into;
}

OffloadingKeys::~OffloadingKeys() {
  offloading_to = nullptr;
}

bool OffloadingKeys::hand_out(const std::shared_ptr<PrivateKeyOperation>& operation) {
  if (offloading_to == nullptr) return false;
  *offloading_to = operation;
  return true;
}

}  // namespace headgate
