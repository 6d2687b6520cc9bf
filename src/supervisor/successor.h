#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "connection/handover_message.h"
#include "net/fd.h"
#include "supervisor/listening_sockets.h"
#include "supervisor/sandbox_layers.h"
#include "worker/moving_connections.h"

namespace headgate {

/// The way in which this process was started, so that it can be started again.
struct Program {
  std::string path;  ///< The path of the start, made absolute: a symbolic link is followed anew.
  std::vector<std::string> arguments;
};
/// Reads it. Call before the working directory changes.
[[nodiscard]] Program own_program();
/// Starts `program` for an upgrade. The new process gets its end of the conversation, a copy of `socket`, as
/// Predecessor expects it. Returns the process's number. Errors: kSystem. Any thread.
[[nodiscard]] Result<pid_t> start_successor(const Program& program, int socket);

/// One upgrade as the process before sees it: starts the program on disk, gives it the listening sockets and
/// the live connections that can move, and releases them once the new process is at work on all of them.
///
/// It works on a thread of its own, since it waits for the new process; the supervisor goes on meanwhile. If
/// any step before the last message fails, it ends the new process and wakes every connection, and the
/// upgrade has changed nothing.
class Successor {
 public:
  /// The questions to the process around it. All are called on its thread.
  struct Site {
    /// Starts the new process with its end of the conversation. 0 stands for no process, whose end is not
    /// waited for.
    std::function<Result<pid_t>(int socket)> start;
    SandboxLayers layers;  ///< Of this process, which the new one inherits.
    std::vector<ListeningSockets::Held> sockets;
    std::vector<HandoverCertificate> certificates;
    /// Runs the function on each worker's thread and waits for all, for a bounded time. Returns their number.
    std::function<std::size_t(const std::function<void(Worker&)>&)> ask_workers;
    std::function<void()> close_admin;  ///< The new process opens it next...
    std::function<void()> open_admin;   ///< ...or did not get that far.
    std::function<std::vector<std::string>(const std::map<std::string, std::uint64_t>& left,
                                           std::uint64_t moved)>
        counters;
    std::function<bool()> still_wanted;  ///< False when the process has begun to end meanwhile.
  };
  struct Outcome {
    bool succeeded = false;
    std::string failure;  ///< A sentence, when the upgrade failed.
    pid_t process = -1;   ///< The new process, when it succeeded.
    std::uint64_t moved = 0;
    std::map<std::string, std::uint64_t> left;  ///< By reason.
  };

  /// `ended` is called on its thread, as the last thing it does.
  Successor(Site site, std::function<void(const Outcome&)> ended);
  /// Ends the upgrade under way, as a failure.
  ~Successor();
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;

 private:
  struct Quiesced {
    std::vector<std::pair<int, QuiescentConnection>> moving;  ///< With the worker's index.
  };

  void run();
  [[nodiscard]] Result<void> start();
  [[nodiscard]] Result<void> hand_over();
  [[nodiscard]] Result<void> send_sockets();
  [[nodiscard]] Result<Quiesced> quiesce_connections();
  [[nodiscard]] Result<void> send_connections(const Quiesced& quiesced);
  [[nodiscard]] Result<void> settle_one(std::size_t& next_answer, const Quiesced& quiesced);
  [[nodiscard]] Result<void> send(const HandoverMessage& message);
  [[nodiscard]] Result<HandoverNotice> receive();
  [[nodiscard]] Result<void> expect(HandoverWord word);
  [[nodiscard]] Result<void> hear_that_it_serves();
  [[nodiscard]] Result<HandoverNotice> receive_notice();
  void undo();
  /// Waits for the end of the new process, and causes the end if need be. Returns how it ended.
  std::string how_it_ended();

  Site site_;
  std::function<void(const Outcome&)> ended_;
  Outcome outcome_;
  Fd socket_, other_end_;
  std::string end_ = "it has not begun";
  bool admin_closed_ = false;
  std::map<int, std::set<std::uint64_t>> refused_;  // ids by worker
  std::thread thread_;
};

}  // namespace headgate
