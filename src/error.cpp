#include <unisim/error.h>
#include <unisim/not_finite.h>

namespace unisim {

DataError::DataError(std::filesystem::path file, const std::string& message)
    : std::runtime_error(file.string() + ": " + message), file_(std::move(file)) {}

// Out of line, so that each type has one home for its type information, whichever library throws it.
DataError::~DataError() = default;
Unsupported::~Unsupported() = default;
Cancelled::~Cancelled() = default;
NotFinite::~NotFinite() = default;

}  // namespace unisim
