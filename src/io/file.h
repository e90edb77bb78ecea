#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

/// Files as the outside world hands them to us: regular files only, sizes bounded before anything is read.
namespace unisim {

/// The whole file. Throws filesystem_error if it cannot be opened or read, DataError if it is no regular file, is
/// longer than max_bytes, or changed while it was read.
std::vector<std::byte> read_file(const std::filesystem::path& file, int64_t max_bytes);

/// Writes a unique temporary file beside `file`, makes it durable, renames it: whole or not at all. A symbolic link
/// stays and its target is written. Throws filesystem_error; also if `file` is there and is no regular file.
void write_file_whole(const std::filesystem::path& file, std::span<const std::byte> bytes);

/// A file open for reading at offsets (pread, so that a file that shrinks is an error, never a SIGBUS); size and
/// modification time are checked again by `check_unchanged`. A file replaced by a rename stays readable as it was.
class FileReader {
 public:
  /// Throws filesystem_error if it cannot be opened, DataError if it is no regular file. Never waits: a FIFO or a
  /// device is refused at once.
  explicit FileReader(std::filesystem::path file);
  /// `file_inside`, opened relative to the folder; what was opened is what was checked.
  static FileReader open_inside(const std::filesystem::path& folder, const std::string& name,
                                const std::filesystem::path& said_by);
  ~FileReader();
  FileReader(FileReader&&) noexcept;
  FileReader& operator=(FileReader&&) = delete;

  const std::filesystem::path& path() const { return file_; }
  int64_t size() const { return size_; }
  /// Fills `to` from the offset; a short file is a DataError.
  void read(int64_t offset, std::span<std::byte> to) const;
  /// Throws DataError if the file was written to since it was opened.
  void check_unchanged() const;

 private:
  FileReader(std::filesystem::path file, int descriptor);

  std::filesystem::path file_;
  int descriptor_ = -1;
  int64_t size_ = 0;
  int64_t modified_ns_ = 0;
};

/// `folder / name` for a name found inside a file of that folder (a shard, a vocabulary): a plain file name, no
/// separators, "..", NUL or drive; if it is a symbolic link, its target lies in the folder or in the blobs folder of
/// the same Hugging Face repository. Throws DataError naming `said_by`; also if there is no such file.
std::filesystem::path file_inside(const std::filesystem::path& folder, const std::string& name,
                                  const std::filesystem::path& said_by);

/// Where models are looked for: $UNISIM_CACHE, else $XDG_CACHE_HOME/unisim, else ~/.cache/unisim.
std::filesystem::path cache_folder();

/// The folder that a name means: an existing path; cache_folder()/models/NAME; for ORG/REPO (also "hf-hub:ORG/REPO",
/// and "@REVISION" behind it) the snapshot of refs/main in the Hugging Face cache, which is the first that is set of
/// $HF_HUB_CACHE, $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub; "local-dir:/path". Else
/// DataError naming every place looked at. Opens no connection, ever.
std::filesystem::path find_model(const std::string& path_or_name);

}  // namespace unisim
