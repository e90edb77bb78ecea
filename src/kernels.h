#pragma once

#include "kernels_attention.h"
#include "kernels_images.h"
#include "kernels_pairs.h"
#include "kernels_rows.h"
#include "kernels_tower.h"

/// The contract of every custom kernel: plain pointers and sizes; no torch, no CUDA, no Eigen.
///
/// A kernel with an implementation on each place (place.h) is an overload set of two. T is float, bf16 or f16
/// unless said otherwise: what is stored. Kernels compute in float (pairs in double), never allocate,
/// synchronise or check shapes: the caller has done that once, at the door. On Cuda every pointer is the
/// device's and the work is queued on the stream. Rows need no alignment beyond their element's; aligned ones
/// (16 bytes) are faster. A kernel over no rows does nothing.
