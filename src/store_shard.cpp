#include "store_shard.h"

#include <fcntl.h>
#include <unisim/error.h>
#include <unistd.h>

#include <cerrno>
#include <iomanip>
#include <random>

namespace unisim {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void throw_system(const char* what, const fs::path& file, int error = errno) {
  throw fs::filesystem_error(what, file, std::error_code(error, std::generic_category()));
}

fs::path new_name() {
  std::random_device random;
  return text_of("rows-", ::getpid(), '-', std::hex, std::setfill('0'), std::setw(8), random(), std::setw(8),
                 random(), ".f32");
}

}  // namespace

ShardWriter::ShardWriter(const fs::path& folder) : file_(folder / new_name()) {
  descriptor_ = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw_system("cannot write", file_);
}

ShardWriter::~ShardWriter() { ::close(descriptor_); }

void ShardWriter::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(descriptor_, bytes.data(), bytes.size(), size_);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_system("cannot write", file_);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    size_ += count;
  }
}

void ShardWriter::make_durable() {
  if (::fdatasync(descriptor_) != 0) throw_system("cannot make durable", file_);
}

void make_folder_durable(const fs::path& folder) {
  const int opened = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0) return;  // written but not readable: nothing more can be done
  const int failed = ::fsync(opened) == 0 ? 0 : errno;
  ::close(opened);
  if (failed != 0 && failed != EINVAL)  // EINVAL: a file system that has no such thing
    throw_system("cannot make durable", folder, failed);
}

std::shared_ptr<const FileReader> ShardReaders::open(const fs::path& folder, const std::string& name) {
  if (const auto found = opened_.find(name); found != opened_.end()) return found->second;
  constexpr std::size_t most = 16;
  if (opened_.size() >= most) opened_.clear();
  auto reader = std::make_shared<const FileReader>(FileReader::open_inside(folder, name, folder));
  return opened_.emplace(name, std::move(reader)).first->second;
}

}  // namespace unisim
