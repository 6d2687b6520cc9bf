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
#include "worker/moving_connections.h"

namespace headgate {

/// How this process was started, so that it can be started again.
struct Program {
  std::string path;  ///< As it was named then, made absolute: a symbolic link is followed anew.
  std::vector<std::string> arguments;
};
/// Call before the working directory changes.
[[nodiscard]] Program own_program();
/// Starts `program` for an upgrade: it finds its end of the conversation, a copy of `socket`, as Predecessor
/// does. Returns its number. Errors: kSystem. Any thread.
[[nodiscard]] Result<pid_t> start_successor(const Program& program, int socket);

/// One upgrade as the process before sees it: starts the program on disk, gives it the listening sockets and
/// the live connections that can move, and lets go of them once the new process is at work on all of them.
///
/// Works on a thread of its own, since it waits for the new process; the supervisor goes on meanwhile.
/// Whatever fails before the last word, the new process is ended, every connection wakes, and nothing has
/// changed.
class Successor {
 public:
  /// What it asks of the process it runs in. All are called on its thread.
  struct Site {
    /// Starts the new process with its end of the conversation. 0 is no process: nobody waits for its end.
    std::function<Result<pid_t>(int socket)> start;
    std::vector<ListeningSockets::Held> sockets;
    /// Runs the function on each worker's thread and waits for all for a while. Returns how many there are.
    std::function<std::size_t(const std::function<void(Worker&)>&)> ask_workers;
    std::function<void()> close_admin;  ///< The new process opens it next...
    std::function<void()> open_admin;   ///< ...or did not get that far.
    std::function<std::vector<std::string>(const std::map<std::string, std::uint64_t>& left,
                                           std::uint64_t moved)>
        counters;
    std::function<bool()> still_wanted;  ///< Not when the process has begun to end meanwhile.
  };
  struct Outcome {
    bool succeeded = false;
    std::string failure;  ///< A sentence, when it did not.
    pid_t process = -1;   ///< The new one, when it did.
    std::uint64_t moved = 0;
    std::map<std::string, std::uint64_t> left;  ///< By reason.
  };

  /// `ended` is called on its thread, as the last thing it does.
  Successor(Site site, std::function<void(const Outcome&)> ended);
  /// Ends what is under way, as a failure.
  ~Successor();
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;

 private:
  struct Rested {
    std::vector<std::pair<int, RestingConnection>> moving;  ///< With the worker's index.
  };

  void run();
  [[nodiscard]] Result<void> start();
  [[nodiscard]] Result<void> hand_over();
  [[nodiscard]] Result<void> send_sockets();
  [[nodiscard]] Result<Rested> rest_connections();
  [[nodiscard]] Result<void> send_connections(const Rested& rested);
  [[nodiscard]] Result<void> settle_one(std::size_t& next_answer, const Rested& rested);
  [[nodiscard]] Result<void> send(const HandoverMessage& message);
  [[nodiscard]] Result<HandoverNotice> receive();
  [[nodiscard]] Result<void> expect(HandoverWord word);
  [[nodiscard]] Result<void> hear_that_it_serves();
  [[nodiscard]] Result<HandoverNotice> receive_notice();
  void undo();
  /// Waits for the end of the new process, which it brings about if need be. Says how.
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
