// Tokenising, one text at a time on one thread, and reading the file. UNISIM_BENCH_TOKENIZERS names a folder
// with a folder for each tokenizer, in it tokenizer.json. Captions repeat their words, as captions do; the
// other texts hardly repeat any, so that every word goes through the model.
#include <benchmark/benchmark.h>
#include <unisim/tokenizer.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

namespace {

std::vector<std::string> captions() {
  std::vector<std::string> texts;
  for (int k = 0; k < 500; ++k)
    texts.push_back("a photograph of " + std::to_string(k) + " red cups on the kitchen table, taken in " +
                    std::to_string(1900 + k) + " by someone else's camera");
  return texts;
}

/// More than the cache of words holds.
std::vector<std::string> unseen_words() {
  std::mt19937 random(1);
  std::vector<std::string> texts(12'000);
  for (std::string& text : texts)
    for (int word = 0; word < 16; ++word) {
      for (std::size_t i = 3 + random() % 9; i > 0; --i) text += "etaoinshrdlucmfwypvbgk"[random() % 22];
      text += ' ';
    }
  return texts;
}

void load(benchmark::State& state, const std::filesystem::path& folder) {
  for (auto _ : state) benchmark::DoNotOptimize(unisim::Tokenizer::load(folder));
  state.SetBytesProcessed(state.iterations() *
                          static_cast<int64_t>(std::filesystem::file_size(folder / "tokenizer.json")));
}

/// Items are texts, bytes are theirs.
void encode(benchmark::State& state, const std::filesystem::path& folder,
            const std::vector<std::string>& texts) {
  const unisim::Tokenizer tokenizer = unisim::Tokenizer::load(folder);
  for (auto _ : state)
    for (const std::string& text : texts) benchmark::DoNotOptimize(tokenizer.encode(text));
  std::size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(texts.size()));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes));
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> folders;
  if (const char* root = std::getenv("UNISIM_BENCH_TOKENIZERS"))
    for (const auto& entry : std::filesystem::directory_iterator(root))
      if (std::filesystem::exists(entry.path() / "tokenizer.json")) folders.push_back(entry.path());
  std::ranges::sort(folders);
  for (const auto& folder : folders) {
    const std::string name = folder.filename().string();
    benchmark::RegisterBenchmark(("load/" + name).c_str(), load, folder)->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("captions/" + name).c_str(), encode, folder, captions())
        ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("unseen_words/" + name).c_str(), encode, folder, unseen_words())
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
