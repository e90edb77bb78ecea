#include "../kernels.h"

namespace unisim {

int64_t squared_error(Cpu, Rows<const uint8_t> x, Rows<const uint8_t> y) {
  int64_t sum = 0;
  for (int64_t i = 0; i < x.rows; ++i) {
    const uint8_t* a = x.row(i);
    const uint8_t* b = y.row(i);
    // 32 bits hold 66,051 squares of 255 at most; stretches of 65,536 let the compiler use narrow lanes.
    for (int64_t begin = 0; begin < x.width; begin += 65'536) {
      const int64_t end = begin + 65'536 < x.width ? begin + 65'536 : x.width;
      uint32_t part = 0;
      for (int64_t k = begin; k < end; ++k) {
        const int difference = a[k] - b[k];
        part += static_cast<uint32_t>(difference * difference);
      }
      sum += part;
    }
  }
  return sum;
}

}  // namespace unisim
