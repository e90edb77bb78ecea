#include <ATen/core/grad_mode.h>
#include <unisim/error.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

#include "encoder_state.h"
#include "models/preprocess.h"

namespace unisim {
namespace {

/// A file's picture as the tower sees it, or why there is none.
using Prepared = std::variant<std::vector<float>, Failure>;

/// Files decoded and prepared on threads, handed out in order. At most `ahead` wait at any time.
class Preparation {
 public:
  Preparation(const PreprocessConfig& config, std::span<const std::filesystem::path> files,
              const ReadOptions& reading, std::size_t ahead)
      : config_(config), files_(files), reading_(reading), slots_(std::max<std::size_t>(ahead, 1)) {
    // Half of the cores: the tower's own threads take the rest.
    const std::size_t count =
        std::clamp<std::size_t>(std::thread::hardware_concurrency() / 2, 1, slots_.size());
    for (std::size_t t = 0; t < count; ++t) threads_.emplace_back([this] { work(); });
  }
  ~Preparation() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
  }
  Preparation(const Preparation&) = delete;
  Preparation& operator=(const Preparation&) = delete;

  /// The next file, in order. Rethrows what is not the file's fault.
  Prepared next() {
    std::unique_lock lock(mutex_);
    std::optional<Prepared>& slot = slots_[taken_ % slots_.size()];
    changed_.wait(lock, [&] { return slot.has_value() || error_; });
    if (!slot) std::rethrow_exception(error_);
    Prepared prepared = std::move(*slot);
    slot.reset();
    ++taken_;
    lock.unlock();
    changed_.notify_all();
    return prepared;
  }

 private:
  Prepared prepare(std::size_t i) const {
    try {
      const Image image = read_image(files_[i], reading_);
      std::vector<float> planes(static_cast<std::size_t>(3 * output_height(config_) * output_width(config_)));
      preprocess_image(config_, image, planes);
      return planes;
    } catch (const DataError& error) {
      return Failure{files_[i], error.what()};
    } catch (const std::filesystem::filesystem_error& error) {
      return Failure{files_[i], error.what()};
    } catch (const std::invalid_argument& error) {  // a picture too long and thin to be resized
      return Failure{files_[i], error.what()};
    }
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock,
                    [&] { return stopped_ || begun_ == files_.size() || begun_ < taken_ + slots_.size(); });
      if (stopped_ || begun_ == files_.size()) return;
      const std::size_t i = begun_++;
      lock.unlock();
      std::optional<Prepared> prepared;
      std::exception_ptr error;
      try {
        prepared = prepare(i);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      if (error) {
        if (!error_) error_ = error;
        stopped_ = true;
      } else {
        slots_[i % slots_.size()] = std::move(prepared);
      }
      changed_.notify_all();
    }
  }

  const PreprocessConfig& config_;
  std::span<const std::filesystem::path> files_;
  const ReadOptions& reading_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::optional<Prepared>> slots_;  ///< a ring: file i stands in slot i % size
  std::size_t begun_ = 0, taken_ = 0;
  bool stopped_ = false;
  std::exception_ptr error_;
  std::vector<std::jthread> threads_;  ///< last: joined before anything above goes
};

}  // namespace

FileRows Encoder::embed_files(std::span<const std::filesystem::path> files, const EmbedOptions& options,
                              const ReadOptions& reading) const {
  state_->vision_for("embed_files", options.layer);
  const int64_t batch = state_->batch("embed_files", options.batch_size);
  const at::NoGradGuard no_grad;
  FileRows out;
  std::vector<Tensor> parts;
  const auto ahead = static_cast<std::size_t>(std::min<int64_t>(2 * batch, 64));
  Preparation preparation(*state_->config.preprocess, files, reading, ahead);
  const auto total = static_cast<int64_t>(files.size());
  // Full batches of good pictures: a bad file changes neither the rows of the others nor their batches.
  const Tensor pixels = state_->room_for(std::min(batch, total));
  const int64_t each = total > 0 ? pixels[0].numel() : 0;
  int64_t good = 0;
  for (int64_t i = 0; i < total; ++i) {
    Prepared prepared = preparation.next();
    if (auto* failure = std::get_if<Failure>(&prepared)) {
      out.failures.push_back(std::move(*failure));
    } else {
      const auto& planes = std::get<std::vector<float>>(prepared);
      std::copy(planes.begin(), planes.end(), pixels.mutable_data_ptr<float>() + good * each);
      out.index.push_back(i);
      ++good;
    }
    if (good < batch && i + 1 < total) continue;
    if (good > 0) parts.push_back(state_->embed_pixels(pixels.slice(0, 0, good), options));
    good = 0;
    if (options.progress) options.progress(i + 1, total);
  }
  out.rows = under_each_other(parts, state_->no_rows(options));
  return out;
}

}  // namespace unisim
