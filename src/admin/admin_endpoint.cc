#include "admin/admin_endpoint.h"

#include <fcntl.h>
#include <sys/un.h>
#include <unistd.h>

#include <utility>

namespace headgate {
namespace {

void remove_socket_file(const Address& address) {
  const auto* unix_address = reinterpret_cast<const sockaddr_un*>(address.data());
  if (address.is_unix() && unix_address->sun_path[0] != '\0') ::unlink(unix_address->sun_path);
}

}  // namespace

AdminEndpoint::~AdminEndpoint() {
  if (!server_) return;
  const Address bound = server_->bound_address();
  server_.reset();
  if (made_by_.empty()) remove_socket_file(bound);
}

Result<void> AdminEndpoint::open(ListeningSockets::Held inherited) {
  if (!bind_) return {};
  auto socket = inherited.descriptor ? Result<Fd>(std::move(inherited.descriptor))
                                     : AdminServer::listen(*bind_, offer_);
  if (!socket) return tl::unexpected(std::move(socket.error()));
  auto opened = AdminServer::open(*std::move(socket), source_, offer_);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  made_by_ = std::move(inherited.listener);
  server_ = *std::move(opened);
  log_.info(offer_ == AdminOffer::kAll ? "admin listening" : "metrics listening",
            {{"address", server_->bound_address().text()}});
  return {};
}

void AdminEndpoint::close() {
  server_.reset();
}

ListeningSockets::Held AdminEndpoint::held() const {
  if (!server_) return {};
  return {made_by_, bind_->text(), Fd(::fcntl(server_->listening().number(), F_DUPFD_CLOEXEC, 3))};
}

}  // namespace headgate
