#pragma once

#include <unisim/export.h>

#include <stdexcept>

namespace unisim {

/// The result of one item is not finite: that item's fault, where other std::runtime_errors are the machine's. In Python
/// unisim.NotFiniteError, a RuntimeError.
class UNISIM_API NotFinite : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~NotFinite() override;
};

}  // namespace unisim
