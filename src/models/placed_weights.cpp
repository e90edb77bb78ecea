#include "placed_weights_of.h"

namespace unisim {

template class PlacedWeights<Cpu, float>;
template class PlacedWeights<Cpu, bf16>;
template class PlacedWeights<Cpu, f16>;

}  // namespace unisim
