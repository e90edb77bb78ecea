// A model that does not fit the emulated device: whichever allocation fails, nothing is lost.

#include <ATen/ops/equal.h>

#include "models/fused_encoder_of.h"
#include "simt/simt.h"
#include "tiny_model.h"

using namespace unisim;
using namespace unisim::test;

TEST_CASE("whichever allocation fails, the error is clear, memory comes back and the next try is right",
          "[fused]") {
  ModelConfig config = tiny_vision();
  config.vision->blocks.width = 16, config.vision->blocks.head_width = 8;
  const TinyModel model(config);
  const VisionTower tower = model.vision();
  const Tensor pixels = random_tensor({4, 3, 12, 18}, 5);
  simt::options = {};
  const uint64_t before = simt::allocated();
  const auto embed = [&] { return FusedEncoderOn<Cuda, float>(&tower, nullptr, 4).embed_pixels(pixels); };
  const Tensor expected = embed();
  REQUIRE(simt::allocated() == before);
  int failed = 0, halved = 0;
  for (int64_t n = 0;; ++n) {
    simt::options = {};
    simt::options.fail_allocation = n;
    try {
      const Tensor rows = embed();
      const bool reached = simt::options.fail_allocation < 0;
      CHECK(rows.equal(expected));  // a smaller slice changes no row
      halved += reached;
      if (!reached) break;
    } catch (const OutOfMemory& error) {
      CHECK(error.asked > 0);
      CHECK(std::string(error.what()).find("are free") != std::string::npos);
      ++failed;
    }
    CHECK(simt::allocated() == before);
    CHECK(simt::report() == "");
  }
  CHECK(failed > 20);  // one a tensor
  CHECK(halved == 1);  // the arena
}
