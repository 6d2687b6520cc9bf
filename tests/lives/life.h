#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "lives/script.h"

namespace headgate::lives {

/// A worker's parts, shared by all lives of a process, with a clock that only the scripts move.
class World {
 public:
  World();
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  /// Lives one life: a connection in its relay phase between two peers who do what the script says. Returns what went
  /// otherwise than the model says, in lines; empty: nothing did. Aborts where a descriptor is left open.
  [[nodiscard]] std::string live(const Script& script, Chance& sizes);

 private:
  struct Parts;
  class Life;
  std::unique_ptr<Parts> parts_;
};

}  // namespace headgate::lives
