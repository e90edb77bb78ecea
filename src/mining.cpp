#include <unisim/error.h>
#include <unisim/mining.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>

#include "bridge.h"
#include "kernels.h"
#include "measured_rows.h"
#include "mining_on_place.h"
#include "pair_mining.h"
#include "pair_tiles.h"
#include "run_on.h"
#include "tasks.h"

namespace unisim {
namespace {

constexpr int64_t kBlockPanels = 4;  ///< panels of a block: two blocks of 128 rows fit a core's cache

int64_t blocks_of(int64_t panels) { return (panels + kBlockPanels - 1) / kBlockPanels; }

/// Block `task` of the upper triangle of `blocks` a side.
PairTile block_of(int64_t task, int64_t blocks) {
  return pair_tile(task, blocks, std::sqrt(8.0 * static_cast<double>(task) + 1));
}

double cosine_of_rows(const MeasuredRows& x, int64_t i, int64_t j) {
  const double square_i = x.squares[static_cast<std::size_t>(i)],
               square_j = x.squares[static_cast<std::size_t>(j)];
  if (x.rows.scalar_type() == at::kDouble) {
    const Rows<const double> rows = rows_of<const double>(x.rows);
    return cosine(Cpu{}, rows.row(i), square_i, rows.row(j), square_j, rows.width);
  }
  const Rows<const float> rows = rows_of<const float>(x.rows);
  return cosine(Cpu{}, rows.row(i), square_i, rows.row(j), square_j, rows.width);
}

/// The rows divided by their lengths, in panels.
std::vector<float> packed(const MeasuredRows& x) {
  const int64_t panels = Panels{nullptr, x.count(), x.width()}.count();
  const int64_t size = kPanelRows * x.width();
  std::vector<float> data(static_cast<std::size_t>(panels * size));
  run_tasks(panels, allowed_threads(), [&](int64_t p) {
    if (x.rows.scalar_type() == at::kDouble)
      pack_panel(Cpu{}, rows_of<const double>(x.rows), x.squares.data(), p, data.data() + p * size);
    else
      pack_panel(Cpu{}, rows_of<const float>(x.rows), x.squares.data(), p, data.data() + p * size);
  });
  return data;
}

class Mining {
 public:
  Mining(MeasuredRows alike, MeasuredRows apart, const MiningOptions& options)
      : alike_(std::move(alike)),
        apart_(std::move(apart)),
        options_(options),
        data_(packed(alike_)),
        panels_{data_.data(), alike_.count(), alike_.width()},
        above_(lowered(options.alike_above, filter_guard(alike_.width()))) {}

  std::vector<BlindPair> run() {
    const int64_t blocks = blocks_of(panels_.count());
    const int64_t tasks = pair_tile_count(blocks, blocks);
    run_tasks(
        tasks, allowed_threads(), [&](int64_t task) { mine_block(block_of(task, blocks)); },
        [&](int64_t done) {
          if (options_.progress) options_.progress(done, tasks);
        });
    std::sort(pairs_.begin(), pairs_.end(), [](const BlindPair& x, const BlindPair& y) {
      return std::pair(x.i, x.j) < std::pair(y.i, y.j);
    });
    if (options_.progress && tasks > 0) options_.progress(tasks, tasks);
    return std::move(pairs_);
  }

 private:
  void mine_block(PairTile block) {
    std::vector<BlindPair> kept;
    std::array<PanelPair, kPanelRows * kPanelRows> found;
    const int64_t last_row = std::min((block.row + 1) * kBlockPanels, panels_.count());
    const int64_t last_column = std::min((block.column + 1) * kBlockPanels, panels_.count());
    for (int64_t p = block.row * kBlockPanels; p < last_row; ++p)
      for (int64_t q = std::max(p, block.column * kBlockPanels); q < last_column; ++q) {
        const int64_t count = filter_pairs(Cpu{}, panels_, p, q, above_, found.data());
        for (int64_t k = 0; k < count; ++k) {
          const PanelPair pair = found[static_cast<std::size_t>(k)];
          decide(p * kPanelRows + pair.row, q * kPanelRows + pair.column, kept);
        }
      }
    if (kept.empty()) return;
    const std::lock_guard lock(guard_);
    pairs_.insert(pairs_.end(), kept.begin(), kept.end());
  }

  void decide(int64_t i, int64_t j, std::vector<BlindPair>& kept) const {
    const double alike = cosine_of_rows(alike_, i, j);
    if (!(alike > options_.alike_above)) return;
    const double apart = cosine_of_rows(apart_, i, j);
    if (!(apart < options_.apart_below)) return;
    kept.push_back({i, j, static_cast<float>(alike), static_cast<float>(apart)});
  }

  const MeasuredRows alike_, apart_;
  const MiningOptions& options_;
  const std::vector<float> data_;
  const Panels panels_;
  const float above_;
  std::mutex guard_;
  std::vector<BlindPair> pairs_;
};

}  // namespace

std::ostream& operator<<(std::ostream& out, const BlindPair& pair) {
  return out << pair.i << ' ' << pair.j << ' ' << pair.alike << ' ' << pair.apart;
}

std::vector<BlindPair> mine_blind_pairs(const Tensor& alike, const Tensor& apart,
                                        const MiningOptions& options) {
  require_rows("mine_blind_pairs", "alike", alike);
  require_rows("mine_blind_pairs", "apart", apart);
  require(alike.size(0) == apart.size(0), "[mine_blind_pairs] row counts differ: alike has ", alike.size(0),
          " and apart ", apart.size(0));
  require(!std::isnan(options.alike_above), "[mine_blind_pairs] alike_above is not a number");
  require(!std::isnan(options.apart_below), "[mine_blind_pairs] apart_below is not a number");
  if (UNISIM_HAS_CUDA && alike.is_cuda() && alike.device() == apart.device()) {
    auto pairs = run_on(alike.device(), [&](auto place) { return mine_on(place, alike, apart, options); });
    if (pairs) return *std::move(pairs);
  }
  return Mining(measure_rows("mine_blind_pairs", "alike", alike),
                measure_rows("mine_blind_pairs", "apart", apart), options)
      .run();
}

}  // namespace unisim
