#include <unisim/error.h>

#include <algorithm>
#include <array>

#include "asking.h"

namespace unisim {
namespace {

// arXiv 2412.10594, its repository's prompts: a benchmark is its letters, so missing spaces stay missing.
constexpr std::string_view kOpening = "Answer the following multiple-choice question:\n";

struct QuestionText {
  std::string_view opening, question, options;
};

constexpr QuestionText kImg2afc = {
    kOpening,
    "Here are three images: <image> <image> <image>. If image 1 is the reference image, which image of the other two is "
    "more similar to the reference image?",
    "\nOptions:\n(A) Image 2\n(B) Image 3"};
constexpr QuestionText kIt2afc = {
    "Answer the following question:\n",
    "Here are two images: <image> <image>, and here is the reference caption: \"{}\". which of the two images is more "
    "aligned to the reference caption?",
    "\nOptions:\n(A) Image 1\n(B) Image 2"};
constexpr QuestionText kText2afc = {
    "Answer the following multiple-choice question:\n ",
    "Given the reference image: <image>. and two captions, caption 1: \"{}\", caption 2: \"{}\" \nwhich caption has a "
    "better alignment with the reference image?",
    "  \n\nOptions:\n(A) Caption 1\n(B) Caption 2"};
constexpr QuestionText kIqa = {kOpening,
                               "Given two images: image 1 <image> and image 2 <image>.which image has a better quality?",
                               "\n\nOptions:\n(A) Image 1\n(B) Image 2"};
constexpr QuestionText kOoo = {
    kOpening, "Here are three images: <image> <image> <image>Which one (A, B, C) is the odd-one-out of the group?",
    "\nOptions:\n(A) Image 1\n(B) Image 2\n(C)Image 3"};

struct AttributeQuestion {
  std::string_view attribute, question;
};
constexpr std::array<AttributeQuestion, 4> kAttributes = {{
    {"colorfulness", "Given two images: image 1 <image> and image 2 <image>. which image is more colorful?"},
    {"brightness", "Given two images: image 1 <image> and image 2 <image>. which image is brighter?"},
    {"contrast", "Given two images: image 1 <image> and image 2 <image>. which image has more contrast?"},
    {"sharpness", "Given two images: image 1 <image> and image 2 <image>. which image is sharper in color?"},
}};

QuestionText text_for(const AskedItem& item) {
  switch (item.question) {
    case Question::Img2afc:
      return kImg2afc;
    case Question::It2afc:
      return kIt2afc;
    case Question::Text2afc:
      return kText2afc;
    case Question::Ooo:
      return kOoo;
    case Question::Iqa:
    case Question::Paa:
      if (item.attribute == "quality") return kIqa;
      for (const auto& [attribute, question] : kAttributes)
        if (attribute == item.attribute) return {kOpening, question, "\nOptions:\n(A) Image 1\n(B) Image 2"};
      throw std::invalid_argument(text_of("[attribute] \"", item.attribute,
                                          "\" is not one of quality, brightness, colorfulness, contrast, sharpness"));
    case Question::Ir:
      break;
  }
  throw std::invalid_argument("[by_asking] retrieval is not asked: a model of this kind compares two or three at a time");
}

/// What an answer may call a place; whatever does not call an earlier one is taken to mean the last.
using PlaceNames = std::array<std::string_view, 3>;
constexpr PlaceNames kBehindReference[] = {{"A", "left", "2"}, {"B", "right", "3"}};
constexpr PlaceNames kOfTwo[] = {{"A", "left", "1"}, {"B", "right", "2"}};
constexpr PlaceNames kOfThree[] = {{"A", "1"}, {"B", "2"}, {"C", "3"}};

std::span<const PlaceNames> names_for(Question question) {
  if (question == Question::Ooo) return kOfThree;
  return question == Question::Img2afc ? std::span(kBehindReference) : std::span(kOfTwo);
}

bool is_named(const PlaceNames& names, std::string_view answer) {
  return std::ranges::any_of(names, [&](std::string_view name) {
    return !name.empty() && answer.find(name) != std::string_view::npos;
  });
}

/// What the published rules read of an answer.
std::string read_of(Question question, std::string_view answer) {
  if (question == Question::Img2afc || question == Question::Ooo) answer = answer.substr(0, answer.find('.'));
  if (question == Question::Img2afc)
    if (const auto colon = answer.find(':'); colon != std::string_view::npos) answer.remove_prefix(colon + 1);
  std::string read(answer);
  if (question == Question::Ooo) {
    constexpr std::string_view before = "Answer: ";
    for (auto at = read.find(before); at != std::string::npos; at = read.find(before, at)) read.erase(at, before.size());
  }
  return read;
}

/// Pictures in the order of the markers, texts in that of the blanks.
QuestionAsked filled_with(const AskedItem& item, std::span<const std::size_t> order, const std::string& prompt) {
  QuestionAsked asked;
  std::vector<std::string> texts;
  const auto take = [&](const Item& operand) {
    if (const Text* text = std::get_if<Text>(&operand))
      texts.push_back(text->text);
    else
      asked.images.push_back(&std::get<Image>(operand));
  };
  if (item.reference) take(*item.reference);
  for (const std::size_t k : order) take(item.candidates[k]);
  asked.prompt = filled(prompt, texts);
  return asked;
}

}  // namespace

QuestionAsked question_of(const AskedItem& item, std::span<const std::size_t> order) {
  const auto [opening, question, options] = text_for(item);
  return filled_with(item, order, text_of(opening, question, options));
}

QuestionAsked reasons_of(const AskedItem& item, std::span<const std::size_t> order) {
  return filled_with(item, order,
                     text_of(text_for(item).question, "\nBefore you answer, describe the visible differences that bear on it."));
}

std::string letter_question(const AskedItem& item) {
  std::string_view options = text_for(item).options;
  options.remove_prefix(options.find("Options:"));
  return text_of(options, "\nAnswer with the option's letter.");
}

PromptParts shows_question(const std::string& text) {
  return filled("<image>\nDoes this figure show \"{}\"? Please answer yes or no.", std::vector<std::string>{text});
}

std::size_t place_said(Question question, std::string_view answer) {
  const std::string read = read_of(question, answer);
  const std::span<const PlaceNames> names = names_for(question);
  for (std::size_t place = 0; place + 1 < names.size(); ++place)
    if (is_named(names[place], read)) return place;
  return names.size() - 1;
}

bool says_a_place(Question question, std::string_view answer) {
  const std::string read = read_of(question, answer);
  return std::ranges::any_of(names_for(question), [&](const PlaceNames& names) { return is_named(names, read); });
}

}  // namespace unisim
