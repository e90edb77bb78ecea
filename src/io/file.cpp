#include "file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unisim/error.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <random>
#include <thread>
#include <utility>

#include "quote.h"

namespace unisim {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void throw_system(const char* what, const fs::path& file, int error = errno) {
  throw fs::filesystem_error(what, file, std::error_code(error, std::generic_category()));
}

/// A file descriptor that is closed at the end of its scope unless it is handed on.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int value() const { return value_; }
  int release() { return std::exchange(value_, -1); }

 private:
  int value_;
};

// O_NONBLOCK: to open a FIFO without a writer would wait for ever; it has no effect on regular files.
constexpr int reading = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

int open_for_reading(int folder, const char* name, const fs::path& file) {
  int descriptor = -1;
  do {
    descriptor = ::openat(folder, name, reading);
  } while (descriptor < 0 && errno == EINTR);
  // What a socket, or a device that is not there, answers.
  if (descriptor < 0 && (errno == ENXIO || errno == ENODEV))
    throw DataError(file, "is a socket or a device, expected a regular file");
  if (descriptor < 0) throw_system("cannot open", file);
  return descriptor;
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  if (S_ISSOCK(mode)) return "a socket";
  return "not a regular file";
}

struct stat status_of(int descriptor, const fs::path& file) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) throw_system("cannot read the status of", file);
  return status;
}

int64_t modified_ns(const struct stat& status) {
  return int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

bool lies_in(const fs::path& file, const fs::path& folder) {
  const fs::path relative = file.lexically_relative(folder);
  return !relative.empty() && relative != "." && *relative.begin() != "..";
}

/// The blobs folder of the Hugging Face repository that a snapshot belongs to
/// (models--ORG--REPO/snapshots/COMMIT, or a folder below it), empty if it is none. A blobs folder that is
/// itself a link holds no resolved path.
fs::path blobs_folder(const fs::path& snapshot) {
  for (fs::path at = snapshot; at.has_relative_path(); at = at.parent_path()) {
    const fs::path repository = at.parent_path();
    if (at.filename() == "snapshots" && repository.filename().string().starts_with("models--"))
      return repository / "blobs";
  }
  return {};
}

void check_plain_name(const std::string& name, const fs::path& said_by) {
  const bool drive = name.size() >= 2 && name[1] == ':';
  const bool plain = !name.empty() && name.size() <= 255 && name != "." && name != ".." && !drive &&
                     name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
  require_data(plain, said_by, "names the file ", in_quotes(name),
               ", expected a plain file name of the same folder (no /, \\, .., NUL or drive)");
}

/// Where folder / name really lies; DataError unless that is a place that the folder may speak of.
fs::path contained(const fs::path& folder, const std::string& name, const fs::path& said_by) {
  check_plain_name(name, said_by);
  const fs::path root = fs::canonical(folder);
  std::error_code error;
  const fs::path real = fs::canonical(root / name, error);
  require_data(error != std::errc::no_such_file_or_directory, said_by, "names the file ", in_quotes(name),
               ", which is not in ", folder.string());
  if (error) throw fs::filesystem_error("cannot open", folder / name, error);
  const fs::path blobs = blobs_folder(root);
  require_data(lies_in(real, root) || (!blobs.empty() && lies_in(real, blobs)), said_by, "names the file ",
               in_quotes(name), ", a symbolic link to ", in_quotes(real.string()),
               ", which is neither in the same folder nor in the blobs of the same Hugging Face repository");
  return real;
}

/// No two calls make the same name, in this process or beside it.
fs::path temporary_beside(const fs::path& file) {
  static std::atomic<uint64_t> count{0};
  const auto thread = std::hash<std::thread::id>{}(std::this_thread::get_id());
  std::random_device random;
  const std::string name =
      text_of(".unisim-", ::getpid(), '-', std::hex, thread, '-', count++, '-', random(), random(), ".tmp");
  return file.parent_path() / name;
}

void write_all(int descriptor, std::span<const std::byte> bytes, const fs::path& file) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_system("cannot write", file);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

/// The name in a folder is durable once the folder is; some file systems cannot do that and say EINVAL.
void make_folder_durable(const fs::path& folder) {
  const Descriptor opened(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.value() < 0) return;  // written but not readable: nothing more can be done
  if (::fsync(opened.value()) != 0 && errno != EINVAL) throw_system("cannot make durable", folder);
}

}  // namespace

FileReader::FileReader(std::filesystem::path file, int descriptor) : file_(std::move(file)) {
  Descriptor opened(descriptor);
  const struct stat status = status_of(descriptor, file_);
  require_data(S_ISREG(status.st_mode), file_, "is ", kind_of(status.st_mode), ", expected a regular file");
  size_ = status.st_size;
  modified_ns_ = modified_ns(status);
  descriptor_ = opened.release();
}

FileReader::FileReader(std::filesystem::path file)
    : FileReader(file, open_for_reading(AT_FDCWD, file.c_str(), file)) {}

FileReader FileReader::open_inside(const fs::path& folder, const std::string& name, const fs::path& said_by) {
  const fs::path real = contained(folder, name, said_by);
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.value() < 0) throw_system("cannot open", folder);
  const fs::path file = folder / name;
  FileReader reader(file, open_for_reading(opened.value(), name.c_str(), file));
  // Between the check and the opening the name may have been bent elsewhere: the file at the place that was
  // checked must be the one that is open.
  struct stat checked {};
  if (::lstat(real.c_str(), &checked) != 0) throw_system("cannot read the status of", real);
  const struct stat status = status_of(reader.descriptor_, file);
  require_data(checked.st_dev == status.st_dev && checked.st_ino == status.st_ino, file,
               "was replaced while it was opened");
  return reader;
}

FileReader::~FileReader() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

FileReader::FileReader(FileReader&& other) noexcept
    : file_(std::move(other.file_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_),
      modified_ns_(other.modified_ns_) {}

void FileReader::read(int64_t offset, std::span<std::byte> to) const {
  while (!to.empty()) {
    const ssize_t count = ::pread(descriptor_, to.data(), to.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_system("cannot read", file_);
    require_data(count > 0, file_, "ends before byte ", offset + static_cast<int64_t>(to.size()));
    to = to.subspan(static_cast<std::size_t>(count));
    offset += count;
  }
}

void FileReader::check_unchanged() const {
  const struct stat status = status_of(descriptor_, file_);
  require_data(status.st_size == size_ && modified_ns(status) == modified_ns_, file_,
               "changed while it was read");
}

std::vector<std::byte> read_file(const fs::path& file, int64_t max_bytes) {
  const FileReader reader(file);
  require_data(reader.size() <= max_bytes, file, "has ", reader.size(), " bytes, expected at most ",
               max_bytes);
  std::vector<std::byte> bytes(static_cast<std::size_t>(reader.size()));
  reader.read(0, bytes);
  reader.check_unchanged();
  return bytes;
}

void write_file_whole(const fs::path& file, std::span<const std::byte> bytes) {
  const fs::path target = fs::is_symlink(file) ? fs::weakly_canonical(file) : file;
  const fs::file_status status = fs::status(target);
  // A rename onto /dev/null or a FIFO would put a file in its place.
  if (fs::is_directory(status)) throw_system("cannot write", file, EISDIR);
  if (fs::exists(status) && !fs::is_regular_file(status)) throw_system("cannot write whole", file, EINVAL);
  const fs::path temporary = temporary_beside(target);
  Descriptor opened(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (opened.value() < 0) throw_system("cannot write", file);
  try {
    write_all(opened.value(), bytes, file);
    if (::fsync(opened.value()) != 0) throw_system("cannot make durable", file);
    if (::close(opened.release()) != 0) throw_system("cannot write", file);
    if (::rename(temporary.c_str(), target.c_str()) != 0) throw_system("cannot write", file);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  make_folder_durable(target.parent_path());
}

fs::path file_inside(const fs::path& folder, const std::string& name, const fs::path& said_by) {
  contained(folder, name, said_by);
  return folder / name;
}

}  // namespace unisim
