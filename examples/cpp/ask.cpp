// Asks a vision-language model about pictures: how probable each answer is, and what it says by itself. Every number
// has 17 digits, so that it can be compared with Python's and the command line's.

#include <unisim/unisim.h>

#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

int main(int count, char** arguments) {
  if (count < 6) {
    std::cerr << "usage: ask MODEL_FOLDER PROMPT CHOICE CHOICE IMAGE...\n";
    return 2;
  }
  try {
    const unisim::Vlm vlm = unisim::Vlm::load(arguments[1]);
    const std::string prompt = arguments[2];
    const std::vector<std::string> choices = {arguments[3], arguments[4]};
    std::vector<unisim::Image> images;
    for (int k = 5; k < count; ++k) images.push_back(unisim::read_image(arguments[k]));
    const unisim::Choice choice = vlm.choose(images, prompt, choices);
    for (std::size_t k = 0; k < choices.size(); ++k)
      std::printf("choice %s %.17g\n", choices[k].c_str(), choice.probabilities[k]);
    std::printf("coverage %.17g\n", choice.coverage);
    std::printf("says %s\n", vlm.generate(images, prompt, {.max_new_tokens = 8}).text.c_str());
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "ask: " << error.what() << '\n';
    return 1;
  }
}
