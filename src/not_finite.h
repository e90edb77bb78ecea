#pragma once

#include <stdexcept>

namespace unisim {

/// The result of one item is not finite: that item's fault, where other std::runtime_errors are the machine's.
class NotFinite : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace unisim
