#pragma once

/// Everything: perceptual similarity of images and texts.
#include <unisim/encoder.h>
#include <unisim/error.h>
#include <unisim/fusion.h>
#include <unisim/image.h>
#include <unisim/metric.h>
#include <unisim/mining.h>
#include <unisim/similarity.h>
#include <unisim/tensor.h>
#include <unisim/tokenizer.h>
