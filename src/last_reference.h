#pragma once

#include <memory>
#include <mutex>

#include "metric_state.h"

namespace unisim {

/// Features of the reference of the last call, for who compares one picture with many, call by call. A
/// picture's features do not depend on what it is compared with, so no score does on what was asked before.
template <class Features>
class LastReference {
 public:
  void keep(const Item& item, std::shared_ptr<const Features> features) {
    const std::lock_guard lock(mutex_);
    item_ = item;
    features_ = std::move(features);
  }
  /// Null for another item.
  std::shared_ptr<const Features> of(const Item& item) const {
    const std::lock_guard lock(mutex_);
    return features_ && same(item_, item) ? features_ : nullptr;
  }

 private:
  mutable std::mutex mutex_;
  Item item_;
  std::shared_ptr<const Features> features_;
};

/// More than this is not kept from call to call.
inline constexpr int64_t most_bytes_kept = int64_t{512} << 20;

}  // namespace unisim
