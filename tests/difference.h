#pragma once

#include <sstream>
#include <string>
#include <vector>

/// Long vectors compared in one line: Catch2 would print them whole.
namespace unisim::test {

/// "" where both are equal, else where they first differ.
template <class T>
std::string difference(const std::vector<T>& got, const std::vector<T>& expected) {
  std::ostringstream text;
  if (got.size() != expected.size()) {
    text << got.size() << " elements instead of " << expected.size();
    return text.str();
  }
  for (std::size_t i = 0; i < got.size(); ++i)
    if (!(got[i] == expected[i])) {
      text << "element " << i << " is " << +got[i] << " instead of " << +expected[i];
      break;
    }
  return text.str();
}

}  // namespace unisim::test
