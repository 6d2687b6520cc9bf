#include "net/starttls/mysql_packet.h"
#include "net/starttls/request_steps.h"
#include "net/starttls/requests.h"

namespace headgate {

RequestStep MysqlRequest::feed(std::span<const std::byte> received) {
  const mysql::Greeting greeting = mysql::read_greeting(received);
  RequestStep step = request::of_greeting(greeting, received.size());
  if (step.state != RequestState::kTlsBegins) return step;
  const auto bytes = mysql::request_of_a_check();
  step.say.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return step;
}

}  // namespace headgate
