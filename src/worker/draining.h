#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/units.h"

namespace headgate {

class Connection;
class Worker;

/// Which connections a drain is about: those that are open when it begins and match what is set.
struct DrainScope {
  std::string listener{}, backend{};
  std::string peer{};  ///< An identity as the log shows it.
};

/// How far a drain shall be.
struct DrainTarget {
  std::uint32_t drain = 0;
  double share = 0;  ///< Of its connections, those that may be left; 0 at its deadline.
};

/// What remains of a drain.
struct DrainProgress {
  std::uint64_t remaining = 0;  ///< Connections.
  Duration oldest{};            ///< Age of the oldest of them.
  std::uint64_t bytes = 0;      ///< Bytes that the connections have moved since the last question.
};

/// The drains of one worker. It looks at the connections in slices (connection_walk.h), so a drain of any
/// number of connections holds the loop no longer than a slice does. On the worker's thread.
///
/// What is asked here is answered in this turn of the loop where one slice is enough, and otherwise in a
/// later turn. There is no answer where the worker ends before.
class Draining {
 public:
  using Progress = std::map<std::uint32_t, DrainProgress>;  // by the drain's number

  /// `worker` owns it.
  explicit Draining(Worker& worker) : worker_(worker) {}
  Draining(const Draining&) = delete;
  Draining& operator=(const Draining&) = delete;

  /// Marks the connections of `scope` as draining by `drain`, a number that no other drain has. `done` gets
  /// how many. A connection that is accepted meanwhile is not marked.
  void begin(std::uint32_t drain, DrainScope scope, std::function<void(std::uint64_t)> done);
  /// Ends connections of each drain that are at rest in order until its share is left, and cuts all of them
  /// at its deadline. `done` gets what is left of each: a connection is left until its peers have been told.
  /// Where the work of an earlier call is still under way nothing is done, and `done` is never called.
  void go_on(const std::vector<DrainTarget>& targets, std::function<void(const Progress&)> done);

 private:
  struct Drain {
    std::uint64_t at_start = 0;  // connections
    std::uint64_t remaining = 0;
  };
  struct Step;

  [[nodiscard]] static std::size_t count(Step& step, Connection& connection);
  [[nodiscard]] static std::size_t end_if_at_rest(Step& step, Connection& connection);
  void counted(const std::shared_ptr<Step>& step);
  void tell(const Step& step);

  Worker& worker_;
  std::map<std::uint32_t, Drain> drains_;  // those with connections left
  int walks_ = 0;                          // under way
};

}  // namespace headgate
