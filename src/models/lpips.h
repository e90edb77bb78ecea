#pragma once

#include <unisim/image.h>
#include <unisim/tensor.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

/// LPIPS v0.1 (Zhang, Isola, Efros, Shechtman, Wang 2018): the distance between the unit-normalised features
/// of two images at five depths of AlexNet or VGG16, weighed by learned heads.
namespace unisim {

/// A step of a network: a convolution with a ReLU behind it, or (out = 0) a maximum over windows.
struct LpipsStep {
  int64_t place = 0;  ///< of a convolution in torchvision's `features`; its tensors are named after it
  int64_t in = 0, out = 0;
  int64_t kernel = 0, stride = 0, padding = 0;
};

/// A network as LPIPS cuts it: the features after each slice are compared.
struct LpipsNet {
  std::string name;
  std::vector<std::vector<LpipsStep>> slices;
};

const std::vector<LpipsNet>& lpips_nets();

/// The shortest side that leaves at least one value at the last depth.
int64_t least_side(const LpipsNet& net);

/// config.json of a folder in our layout, `model_type` "lpips".
struct LpipsConfig {
  const LpipsNet* net = nullptr;
  std::vector<double> input_range;   ///< what grey levels 0 and 255 become
  std::vector<double> shift, scale;  ///< then (x - shift) / scale, channel by channel
  double normalize_eps = 0;          ///< features / (their length + eps)
};

struct Lpips {
  struct Convolution {
    Tensor weight, bias;
  };

  LpipsConfig config;
  Device device = Device("cpu");
  DType dtype = DType::Float32;
  int64_t parameters = 0;  ///< floating point numbers in the weights
  std::array<std::array<float, 256>, 3> levels = {};  ///< what each grey level is to the network, R G B
  std::vector<std::vector<Convolution>> slices = {};
  std::vector<Tensor> heads = {};  ///< [channels] float32 of each depth
};

/// Reads a folder. Throws DataError for what is missing, of another shape or not finite, Unsupported for a
/// field that is not honoured or a net other than `net` ("alex", "vgg").
Lpips load_lpips(const std::filesystem::path& folder, const std::string& net, Device device, DType dtype);

/// Of each depth [1, channels, h, w] float32, unit-normalised along the channels. Sides of at least
/// least_side.
std::vector<Tensor> lpips_features(const Lpips& lpips, const Image& image);

/// The authors' distance between images of one size, from their features.
double lpips_distance(const Lpips& lpips, const std::vector<Tensor>& x, const std::vector<Tensor>& y);

}  // namespace unisim
