#pragma once

#include <cstdint>
#include <map>
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

  /// Lives one life: a connection in its relay phase between two peers who do what the script says. Returns
  /// what went otherwise than the model says, in lines; empty: nothing did. Aborts where a descriptor is left
  /// open.
  [[nodiscard]] std::string live(const Script& script, Chance& sizes);

  /// How often each row of the table was held against what a peer saw, peers to which it promises nothing
  /// aside.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& rows() const;

 private:
  struct Parts;
  class Life;
  std::unique_ptr<Parts> parts_;
};

}  // namespace headgate::lives
