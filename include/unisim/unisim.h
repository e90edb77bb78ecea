#pragma once

/// Everything: perceptual similarity of images and texts.
#include <unisim/asking.h>
#include <unisim/encoder.h>
#include <unisim/error.h>
#include <unisim/fusion.h>
#include <unisim/image.h>
#include <unisim/metric.h>
#include <unisim/mining.h>
#include <unisim/not_finite.h>
#include <unisim/score.h>
#include <unisim/score_mmie.h>
#include <unisim/score_mmvp.h>
#include <unisim/similarity.h>
#include <unisim/stats.h>
#include <unisim/store.h>
#include <unisim/task.h>
#include <unisim/tensor.h>
#include <unisim/tokenizer.h>
#include <unisim/vlm.h>
#include <unisim/vlm_prompt.h>
