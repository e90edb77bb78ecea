// Reads a conversation from each line of stdin, as JSON, and writes what the model sees to stdout, a line each:
// {"folder", "picture_token", "picture_id", "chat_template", "template_name", "system_message", "pieces_alone",
//  "template", "turns": [[prompt, pictures, answer]], "filled": [texts], "rows"} ->
// {"text", "ids", "pictures": [[at, rows]], "stop_ids"} or {"error"}. With "filled" the last prompt's {} take the texts.
// python/tests/test_vlm_prompts.py holds it to transformers: so no tower and no weights are needed.

#include <exception>
#include <iostream>
#include <map>
#include <string>

#include "models/prompt.h"

using namespace unisim;

namespace {

std::vector<PromptTurn> turns_of(const Json& line) {
  std::vector<PromptTurn> turns;
  for (const Json& turn : line.at("turns"))
    turns.emplace_back(turn.at(0).get<std::string>(), turn.at(1).get<int64_t>(), turn.at(2).get<std::string>());
  if (turns.back().answer == "") turns.back().answer.reset();  // the model is asked
  if (line.contains("filled"))
    turns.back().prompt = filled(line.at("turns").back().at(0).get<std::string>(),
                                 line.at("filled").get<std::vector<std::string>>());
  return turns;
}

Json answer_to(const Json& line) {
  static std::map<std::string, PromptEncoder> encoders;
  VlmConfig config;
  config.folder = line.at("folder").get<std::string>();
  config.picture_token = line.at("picture_token").get<std::string>();
  config.picture_id = line.at("picture_id").get<int64_t>();
  config.chat_template = line.value("chat_template", "");
  config.template_name = line.value("template_name", "");
  config.system_message = line.value("system_message", "");
  config.pieces_alone = line.value("pieces_alone", false);
  const std::string key = config.folder.string() + '\0' + config.picture_token + (config.pieces_alone ? "1" : "0");
  auto encoder = encoders.find(key);
  if (encoder == encoders.end()) encoder = encoders.try_emplace(key, config).first;
  const PromptParts parts = render_prompt(config, line.value("template", ""), turns_of(line));
  const EncodedPrompt prompt = encoder->second.encode(parts, line.at("rows").get<std::vector<int64_t>>());
  Json pictures = Json::array();
  for (const auto& slot : prompt.pictures) pictures.push_back(Json::array({slot.at, slot.rows}));
  return {{"text", readable(parts)}, {"ids", prompt.ids}, {"pictures", pictures},
          {"stop_ids", encoder->second.stop_ids()}};
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    Json answer;
    try {
      answer = answer_to(Json::parse(line));
    } catch (const std::exception& error) {
      answer = {{"error", error.what()}};
    }
    std::cout << answer.dump() << '\n';
  }
}
