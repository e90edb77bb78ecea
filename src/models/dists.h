#pragma once

#include <unisim/image.h>
#include <unisim/tensor.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <vector>

/// DISTS (Ding, Ma, Wang, Simoncelli 2022): how far the means (texture) and the covariances (structure) of
/// two images' channels are apart, of the image itself and of VGG16 at five depths, weighed by learned alpha
/// and beta.
namespace unisim {

/// config.json of a folder in our layout, `model_type` "dists".
struct DistsConfig {
  std::vector<double> mean, std;  ///< the network sees (x - mean) / std of x in [0, 1], channel by channel
};

struct Dists {
  struct Convolution {
    Tensor weight, bias;
  };

  DistsConfig config;
  Device device = Device("cpu");
  DType dtype = DType::Float32;
  int64_t parameters = 0;  ///< floating point numbers in the weights
  std::vector<std::vector<Convolution>> slices = {};  ///< of VGG16, empty where a slice begins with a pool
  Tensor alpha = {}, beta = {};  ///< [dists_channels] float64 on the CPU: of means, of covariances
};

/// 3 of the image, then 64, 128, 256, 512, 512.
inline constexpr std::array<int64_t, 6> dists_depths = {3, 64, 128, 256, 512, 512};
inline constexpr int64_t dists_channels = 1475;

/// What a distance asks of one image: its features and their moments over the places.
struct DistsFeatures {
  std::vector<Tensor> depths;            ///< [1, channels, h, w] float32
  std::vector<Tensor> means, variances;  ///< [channels] float64 on the CPU, population
};

/// Reads a folder. Throws DataError for what is missing (alpha and beta by name), of another shape or not
/// finite, Unsupported for a field that is not honoured.
Dists load_dists(const std::filesystem::path& folder, Device device, DType dtype);

/// Of an image of any size: the pools round sides up.
DistsFeatures dists_features(const Dists& dists, const Image& image);

/// The authors' distance between images of one size, at that size, from their features. In [0, 2] where no
/// weight is negative; 0 for equal images.
double dists_distance(const Dists& dists, const DistsFeatures& x, const DistsFeatures& y);

}  // namespace unisim
