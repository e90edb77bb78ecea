#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <c10/core/InferenceMode.h>
#include <unisim/error.h>
#include <unisim/not_finite.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "models/each_item.h"
#include "vlm_sharing.h"
#include "vlm_state.h"

/// Choices are scored in one prefill: behind the rows of a prompt stand the tokens of each choice but its last, every
/// choice seeing the prompt and itself. The head runs on the rows that predict a token of a choice alone.
namespace unisim {
namespace {

constexpr int64_t kRowsOfRun = 4096;  ///< of the prompts of one run, what they share counted once
constexpr int64_t kRowsOfHead = 32;   ///< as wide as the vocabulary, in double

/// Fills in the log probabilities of the tokens of each choice: each is read off a row of those wanted, a few rows at a
/// time, since one is as wide as the vocabulary.
std::vector<TokenLogs> read_logs(const Vlm::State& vlm, const Tensor& normed, std::span<const PlannedPrompt> prompts) {
  struct Sought {
    int64_t row, id;
    double* into;
  };
  std::vector<TokenLogs> found(prompts.size());
  std::vector<Sought> sought;
  int64_t row = 0;
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    const int64_t last = row++;
    found[p].resize(prompts[p].answers.size());
    for (std::size_t c = 0; c < found[p].size(); ++c) {
      const std::vector<int64_t>& answer = prompts[p].answers[c];
      found[p][c].resize(answer.size());
      for (std::size_t k = 0; k < answer.size(); ++k)
        sought.push_back({k == 0 ? last : row++, answer[k], &found[p][c][k]});
    }
  }
  std::ranges::stable_sort(sought, {}, &Sought::row);
  auto next = sought.begin();
  for (int64_t first = 0; first < normed.size(0); first += kRowsOfHead) {
    const int64_t end = std::min(first + kRowsOfHead, normed.size(0));
    const Tensor logits = vlm.decoder->logits(normed.slice(0, first, end));
    const int64_t bad = first_not_finite(logits);
    if (bad >= 0) throw NotFinite(text_of("[", vlm.name, "] the logits of a prompt or choice are not finite"));
    const Tensor logs = at::log_softmax(logits, -1, at::kDouble).cpu();
    const auto values = logs.accessor<double, 2>();
    for (; next != sought.end() && next->row < end; ++next) *next->into = values[next->row - first][next->id];
  }
  return found;
}

/// What rows stand behind: the first `from` rows are kept ones, or those of a stretch of the run and of what it sees.
struct Base {
  int64_t from = 0;
  const KeysValues* kept = nullptr;
  int64_t parent = -1;
};

/// A shared prompt's first rows as a prompt of their own.
PlannedPrompt first_rows(const PlannedPrompt& prompt, int64_t count) {
  PlannedPrompt first = prompt;
  first.encoded.ids.resize(static_cast<std::size_t>(count));
  first.key.resize(static_cast<std::size_t>(count));
  std::erase_if(first.encoded.pictures, [&](const auto& slot) { return slot.at >= count; });
  for (auto& slot : first.encoded.pictures) slot.rows = std::min(slot.rows, count - slot.at);
  return first;
}

bool takes_long_factors(const Vlm::State& vlm, const PlannedPrompt& prompt) {
  return vlm.decoder->long_factors(prompt.rows() + prompt.longest_answer());
}

/// A run of the decoder as it grows, and what will be kept of it.
class Making {
 public:
  Making(const Vlm::State& vlm, std::span<const PlannedPrompt> prompts, bool keep)
      : vlm_(vlm), prompts_(prompts), keep_(keep),
        long_factors_(takes_long_factors(vlm, prompts[0])) {}

  std::vector<TokenLogs> run(std::span<const SharedRows> plan) {
    const c10::InferenceMode no_gradient;
    const Base base = fixed();
    for (const SharedRows& part : plan) add(part, base);
    const Tensor x = rows_.size() == 1 ? rows_[0] : at::cat(rows_);
    std::vector<TokenLogs> found =
        read_logs(vlm_, vlm_.decoder->run(x, stretches_, wanted_, long_factors_), prompts_);
    vlm_.counts.decoder_rows += count_;
    vlm_.counts.prefix_rows += spared_;
    for (auto& [key, rows] : made_) vlm_.prefixes.put(std::move(key), std::move(rows));
    return found;
  }

 private:
  Base fixed() {
    if (prompts_[0].fixed == 0) return {};
    kept_.push_back(vlm_.fixed_rows(prompts_[0], long_factors_));
    return {.from = prompts_[0].fixed, .kept = &kept_.back()};
  }

  void add(const SharedRows& part, Base base) {
    const PlannedPrompt& prompt = prompts_[part.first];
    const bool single = part.parts.empty();
    if (keep_) base = best_of(base, prompt, single ? prompt.rows() - 1 : part.rows);
    if (single) {
      add_prompt(prompt, base);
      return;
    }
    if (base.from < part.rows) {
      const PlannedPrompt first = first_rows(prompt, part.rows);
      const int64_t stretch = add_stretch(
          vlm_.embedded(first, base.from),
          {.position = base.from, .behind = base.kept, .parent = base.parent, .into = to_keep(first.key, base)});
      base = {.from = part.rows, .parent = stretch};
    }
    for (const SharedRows& more : part.parts) add(more, base);
  }

  /// Behind what is kept, where that spares enough: of `most` rows.
  Base best_of(const Base& base, const PlannedPrompt& prompt, int64_t most) {
    const auto entry = vlm_.prefixes.find(prompt.key, long_factors_);
    const int64_t common = entry ? std::min(common_rows(entry->key, prompt.key), most) : 0;
    if (!(base.from == 0 ? is_worth(common, prompt) : common - base.from >= kLeastShared)) return base;
    kept_.push_back(entry->rows.first(common));
    spared_ += common - base.from;
    return {.from = common, .kept = &kept_.back()};
  }

  int64_t add_stretch(const Tensor& x, Stretch stretch) {
    stretch.rows = x.size(0);
    rows_.push_back(x);
    stretches_.push_back(stretch);
    count_ += stretch.rows;
    return std::ssize(stretches_) - 1;
  }

  /// The prompt's own rows, then those of its choices. Notes which rows are wanted.
  void add_prompt(const PlannedPrompt& prompt, const Base& base) {
    const int64_t own = add_stretch(
        vlm_.embedded(prompt, base.from),
        {.position = base.from, .behind = base.kept, .parent = base.parent, .into = to_keep(prompt.key, base)});
    wanted_.push_back(count_ - 1);
    for (const std::vector<int64_t>& answer : prompt.answers) {
      if (answer.size() == 1) continue;
      const int64_t first = count_;
      add_stretch(vlm_.decoder->embed(std::span(answer).first(answer.size() - 1)),
                  {.position = prompt.rows(), .parent = own});
      for (int64_t row = first; row < count_; ++row) wanted_.push_back(row);
    }
  }

  /// Where the keys and values of these rows go, the base's before them; null: nothing is kept. What stands behind a
  /// stretch of the run is in no memory of its own.
  KeysValues* to_keep(const PromptKey& key, const Base& base) {
    const int64_t rows = std::ssize(key), bytes = vlm_.bytes_of_rows(rows);
    if (!keep_ || base.parent >= 0 || base.from >= (rows + 1) / 2) return nullptr;
    if (!vlm_.prefixes.takes(bytes_ + bytes)) return nullptr;
    bytes_ += bytes;
    return &made_.emplace_back(key, base.kept ? *base.kept : KeysValues{}).second;
  }

  const Vlm::State& vlm_;
  std::span<const PlannedPrompt> prompts_;
  const bool keep_;
  const bool long_factors_;
  std::deque<KeysValues> kept_ = {};                        ///< what bases point to
  std::deque<std::pair<PromptKey, KeysValues>> made_ = {};  ///< to be kept, once they are whole
  std::vector<Tensor> rows_ = {};
  std::vector<Stretch> stretches_ = {};
  std::vector<int64_t> wanted_ = {};
  int64_t count_ = 0, spared_ = 0, bytes_ = 0;
};

std::vector<PromptRows> numbers_of(std::span<const PlannedPrompt> prompts) {
  std::vector<PromptRows> all;
  for (std::size_t k = 0; k < prompts.size(); ++k) {
    const PlannedPrompt& prompt = prompts[k];
    PromptRows& rows = all.emplace_back(PromptRows{.rows = prompt.rows()});
    for (const auto& answer : prompt.answers) rows.answers += std::ssize(answer) - 1;
    if (k + 1 == prompts.size()) continue;
    const PlannedPrompt& next = prompts[k + 1];
    rows.common = std::min({common_rows(prompt.key, next.key), prompt.rows() - 1, next.rows() - 1});
  }
  return all;
}

/// How many from the first on have its rotary factors and begin with its fixed rows.
std::size_t alike(const Vlm::State& vlm, std::span<const PlannedPrompt> prompts) {
  const auto is_alike = [&](const PlannedPrompt& prompt) {
    const PlannedPrompt& first = prompts[0];
    return takes_long_factors(vlm, prompt) == takes_long_factors(vlm, first) && prompt.fixed == first.fixed &&
           common_rows(prompt.key, first.key) >= first.fixed;
  };
  return static_cast<std::size_t>(std::ranges::find_if_not(prompts, is_alike) - prompts.begin());
}

/// Which of the prompts is to blame for a run whose numbers are not finite: each alone.
[[noreturn]] void blame(const Vlm::State& vlm, std::span<const PlannedPrompt> prompts, std::size_t number,
                        const NotFinite& error) {
  for (std::size_t k = 0; k < prompts.size(); ++k) try {
      const std::vector<PromptRows> rows = numbers_of(prompts.subspan(k, 1));
      Making(vlm, prompts.subspan(k, 1), false).run(plan_sharing(rows));
    } catch (const NotFinite& its) {
      throw NotFinite(text_of("item ", number + k, ": ", its.what()));
    }
  throw error;
}

}  // namespace

std::vector<TokenLogs> Vlm::State::answer_logs(std::span<const PlannedPrompt> asked, bool keep,
                                               const Progress& progress) const {
  std::vector<TokenLogs> found;
  const std::vector<PromptRows> rows = numbers_of(asked);
  for (std::size_t first = 0; first < asked.size();) {
    const std::size_t most = alike(*this, asked.subspan(first));
    const std::size_t count =
        prompts_of_run(std::span(rows).subspan(first, most), kRowsOfRun + asked[first].fixed);
    const auto run = asked.subspan(first, count);
    {
      const std::lock_guard lock(mutex);
      try {
        for (TokenLogs& logs : Making(*this, run, keep).run(plan_sharing(std::span(rows).subspan(first, count))))
          found.push_back(std::move(logs));
      } catch (const NotFinite& error) {
        if (asked.size() == 1) throw;
        blame(*this, run, first, error);
      }
    }
    first += count;
    if (progress) progress(static_cast<int64_t>(first), std::ssize(asked));
  }
  return found;
}

KeysValues Vlm::State::fixed_rows(const PlannedPrompt& prompt, bool long_factors) const {
  const auto key = std::span(prompt.key).first(static_cast<std::size_t>(prompt.fixed));
  if (const auto entry = turns.get(key, long_factors)) {
    counts.prefix_rows += prompt.fixed;
    return entry->rows.first(prompt.fixed);
  }
  const c10::InferenceMode no_gradient;
  KeysValues rows;
  const Stretch stretch{.rows = prompt.fixed, .into = &rows};
  decoder->run(embedded(first_rows(prompt, prompt.fixed), 0), {&stretch, 1}, {}, long_factors);
  counts.decoder_rows += prompt.fixed;
  turns.put({key.begin(), key.end()}, rows);
  return rows.first(prompt.fixed);
}

}  // namespace unisim
