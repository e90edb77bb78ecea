// How alike pictures are: cosines by an encoder, numbers by a metric, and the pairs that two views of the
// encoder see differently. Every number has 17 digits, so that it can be compared with Python's and the
// command line's.

#include <unisim/unisim.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <vector>

namespace {

void print_cosines(const unisim::Tensor& rows) {
  const unisim::Tensor cosines = unisim::cosine(rows, rows);
  const float* value = cosines.const_data_ptr<float>();
  for (int64_t i = 0; i < rows.size(0); ++i)
    for (int64_t j = 0; j < rows.size(0); ++j)
      std::printf("cosine %d %d %.17g\n", static_cast<int>(i), static_cast<int>(j),
                  static_cast<double>(value[i * rows.size(0) + j]));
}

void print_metric(const unisim::Metric& metric, const std::vector<unisim::Image>& images) {
  std::printf("metric %s %s\n", metric.name().c_str(),
              metric.higher_is_better() ? "higher is more alike" : "lower is more alike");
  for (std::size_t i = 1; i < images.size(); ++i)
    std::printf("score 0 %d %.17g\n", static_cast<int>(i), metric(images[0], images[i]));
}

/// Alike by the model's own output, apart by the mean of its last layer's tokens.
void print_pairs(const unisim::Encoder& encoder, const std::vector<unisim::Image>& images,
                 const unisim::Tensor& rows) {
  const unisim::Tensor means =
      encoder.embed_images(images, {.layer = encoder.layers(), .pool = unisim::Pool::Mean});
  for (const unisim::BlindPair& pair :
       unisim::mine_blind_pairs(rows, means, {.alike_above = 0.2, .apart_below = 0.99}))
    std::printf("pair %d %d %.17g %.17g\n", static_cast<int>(pair.i), static_cast<int>(pair.j),
                static_cast<double>(pair.alike), static_cast<double>(pair.apart));
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 5) {
    std::cerr << "usage: alike MODEL_FOLDER METRIC IMAGE IMAGE...\n";
    return 2;
  }
  try {
    const unisim::Encoder encoder = unisim::Encoder::load(arguments[1]);
    const unisim::Metric metric = unisim::metric(arguments[2]);
    std::vector<unisim::Image> images;
    for (int k = 3; k < count; ++k) images.push_back(unisim::read_image(arguments[k]));
    const unisim::Tensor rows = encoder.embed_images(images);
    print_cosines(rows);
    print_metric(metric, images);
    print_pairs(encoder, images, rows);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "alike: " << error.what() << '\n';
    return 1;
  }
}
