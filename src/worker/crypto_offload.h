#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/cpu_set.h"
#include "base/units.h"
#include "event/inbox.h"
#include "tls/library/private_key_operation.h"

namespace headgate {

/// The other thread of a worker: it performs the private-key operations that would hold the loop too long
/// (RSA), at a lower priority, so that established connections do not feel them.
///
/// The thread starts with the first operation; where the system refuses the thread, the loop performs the
/// operation. It touches nothing of the worker but the inbox; each operation owns the objects that it uses.
/// The loop's thread makes and uses this object.
class CryptoOffload {
 public:
  struct Task {
    std::uint64_t connection = 0;  ///< The id of the connection that waits.
    std::string listener;          ///< Its name, for the report of a crash.
    std::shared_ptr<PrivateKeyOperation> operation;
    Duration cpu{};  ///< The CPU time of the operation, once it is finished.
  };
  using Finished = std::function<void(const Task&)>;

  /// `finished` is called on the loop's thread, with each task.
  CryptoOffload(Inbox& inbox, Finished finished) : inbox_(inbox), finished_(std::move(finished)) {}
  /// Waits for the operation at hand; the operations behind it are not performed.
  ~CryptoOffload();
  CryptoOffload(const CryptoOffload&) = delete;
  CryptoOffload& operator=(const CryptoOffload&) = delete;

  /// Binds the thread to these CPUs, now or once it starts. Without this call it runs where the thread of the
  /// loop may.
  void run_on(const CpuSet& cpus);
  /// Hands the task over. `finished` gets it in a later turn of the loop.
  void run(Task task);
  /// Tasks that were handed over and have not come back yet.
  [[nodiscard]] std::size_t pending() const { return pending_; }

 private:
  [[nodiscard]] bool has_thread();
  void work();
  void perform(Task task);

  Inbox& inbox_;
  Finished finished_;
  std::size_t pending_ = 0;     // loop thread
  std::optional<CpuSet> cpus_;  // loop thread
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;  // guarded by mutex_
  bool stopping_ = false;   // guarded by mutex_
  std::thread thread_;
};

}  // namespace headgate
