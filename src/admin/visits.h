#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <optional>
#include <string>

#include "admin/endpoints.h"
#include "base/units.h"

struct MHD_Connection;

namespace headgate {

/// A connection to the admin endpoint: one request and its answer.
///
/// The server's thread alone touches it, except while the answer is made: then a thread of AnswerThreads
/// reads the request and writes `response`.
struct Visit {
  /// The client has yet to send its whole request; the answer is being made; the client takes the answer.
  enum class Stage : unsigned char { kAsks, kWaits, kTakes };

  MHD_Connection* connection = nullptr;
  int socket = -1;  ///< The server's library owns it.
  Stage stage = Stage::kAsks;
  bool head_seen = false;
  bool cut = false;  ///< Its socket is shut; the library is about to close it.
  TimePoint deadline{};
  std::size_t body_bytes = 0;  ///< Of the request; they are dropped.
  std::string target{};        ///< "/log?level=debug", as sent.
  std::string method{}, host{}, origin{}, fetch_site{}, fetch_mode{}, token{};
  HttpRequest::HostLine host_line = HttpRequest::HostLine::kOne;
  std::optional<HttpResponse> response{};
};

/// The connections to the admin endpoint. Bounds their number, their time and the memory of their answers:
/// the connection that has had the most time goes first, and one whose answer is being made never goes.
///
/// Server's thread only.
class Visits {
 public:
  static constexpr std::size_t kMax = 64;
  /// The answers that clients have not taken yet, together. The newest is kept however large it is.
  static constexpr std::size_t kMaxUntakenBytes = std::size_t{16} * 1024 * 1024;
  static constexpr std::chrono::seconds kTimeToAsk{5};
  static constexpr std::chrono::seconds kTimeToTake{30};

  /// A new connection, which has kTimeToAsk from `now` on.
  Visit& begin(MHD_Connection* connection, int socket, TimePoint now);
  void end(const Visit& visit);
  void waits(Visit& visit);
  /// `visit` has its response, and kTimeToTake from `now` on.
  void takes(Visit& visit, TimePoint now);

  /// Cuts the connection that matters least if kMax are there: one whose request has not come, else one that
  /// takes its answer slowly.
  void make_room();
  /// Cuts those whose time is over.
  void cut_overdue(TimePoint now);
  /// When the next connection's time is over; nothing where none has a limit.
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;

  [[nodiscard]] bool empty() const { return all_.empty(); }
  /// Those whose answer is being made.
  [[nodiscard]] std::list<Visit*> waiting();

 private:
  [[nodiscard]] Visit* oldest(Visit::Stage stage);
  [[nodiscard]] std::size_t untaken_bytes() const;

  std::list<Visit> all_;  // in the order in which their present stage began
};

}  // namespace headgate
