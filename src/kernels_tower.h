#pragma once

#include <cstdint>

#include "activation.h"
#include "half.h"
#include "place.h"
#include "views.h"

/// The kernels of a transformer tower beside the norms. kernels.h says what holds for all.
namespace unisim {

/// out = a weight^T + bias + residual, or activation(a weight^T + bias): the one product of the towers. On
/// Cuda it is cuBLASLt's (cuda/blas.h).
template <class T>
struct Product {
  Rows<const T> a;          ///< [m, k], k at least 1; shares no memory with out
  Rows<const T> weight;     ///< [n, k]
  const T* bias = nullptr;  ///< [n], or null: none
  bool activate = false;
  Activation activation = Activation::Gelu;
  Rows<const T> residual = {};  ///< [m, n], or data null: none; may be out itself. Not beside an activation
  Rows<T> out;                  ///< [m, n], any stride
  /// A row's bits do not depend on m. On the Cpu they never do; on Cuda it costs speed where m is small.
  bool batch_invariant = false;
};
template <class T>
void product(Cpu, const Product<T>& p);
template <class T>
void product(Cuda, const Product<T>& p);

/// Allocates what products queued on the place need, once: before a run that must not, or a graph's
/// recording. The first product does it otherwise.
inline void prepare_products(Cpu) {}
void prepare_products(Cuda);
/// Gives that memory back when nothing of the place's work, nor a recording of it, will run again.
inline void release_products(Cpu) noexcept {}
void release_products(Cuda) noexcept;

/// out[i] = class token, registers, patches[i], plus positions, rounded once: [items, tokens, width].
template <class T>
struct ImageTokens {
  const T* patches = nullptr;        ///< [items, patches, width]
  const T* class_token = nullptr;    ///< [width], or null: none
  const T* registers = nullptr;      ///< [register_count, width]
  const float* positions = nullptr;  ///< [tokens, width]
  int64_t items = 0, patch_count = 0, register_count = 0, width = 0;
  T* out = nullptr;

  constexpr int64_t tokens() const { return (class_token ? 1 : 0) + register_count + patch_count; }
};
template <class T>
void assemble_image_tokens(Cpu, const ImageTokens<T>& t);
template <class T>
void assemble_image_tokens(Cuda, const ImageTokens<T>& t);

/// out[i, t] = table[ids[i, t]] + positions[t]; positions null: none. The ids have been checked.
template <class T>
struct TextTokens {
  const int64_t* ids = nullptr;      ///< [items, length]
  const T* table = nullptr;          ///< [vocabulary, width]
  const float* positions = nullptr;  ///< [length, width]
  int64_t items = 0, length = 0, width = 0;
  T* out = nullptr;  ///< [items, length, width]
};
template <class T>
void assemble_text_tokens(Cpu, const TextTokens<T>& t);
template <class T>
void assemble_text_tokens(Cuda, const TextTokens<T>& t);

/// From [items, tokens, width] to one row an item.
template <class T>
struct Pooling {
  const T* x = nullptr;
  int64_t items = 0, tokens = 0, width = 0;
  Rows<T> out;  ///< [items, width]
};
/// The row at index[i] of item i (on Cuda a device pointer); index null: the first row, the class token. With tokens 0 all
/// rows are one item's: out[i] = x[index[i]].
template <class T>
void pool_row(Cpu, const Pooling<T>& p, const int64_t* index);
template <class T>
void pool_row(Cuda, const Pooling<T>& p, const int64_t* index);
/// The mean of rows first to tokens - 1.
template <class T>
void pool_mean(Cpu, const Pooling<T>& p, int64_t first);
template <class T>
void pool_mean(Cuda, const Pooling<T>& p, int64_t first);

}  // namespace unisim
