#include "convert.h"

namespace unisim {

PYBIND11_MODULE(_core, m) {
  m.doc() = "unisim's C++ library as Python sees it; import unisim instead.";
  m.attr("__version__") = version();
  m.attr("built_with_cuda") = built_with_cuda();
  m.def("missing_for_cuda", &missing_for_cuda,
        "What a CUDA device would need that is not here, or \"\" if one can be used.");
  init_error(m);
  init_encoder(m);
  init_fusion(m);
  init_image(m);
  init_metric(m);
  init_mining(m);
  init_score(m);
  init_score_mmie(m);
  init_score_mmvp(m);
  init_similarity(m);
  init_store(m);
  init_stats(m);
  init_task(m);
  init_tokenizer(m);
  init_vlm(m);
}

}  // namespace unisim
