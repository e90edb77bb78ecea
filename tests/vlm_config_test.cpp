#include "models/vlm_config.h"

#include <unisim/error.h>

#include <functional>

#include "vlm_folders.h"

using namespace unisim;
using namespace unisim::test;

TEST_CASE("LLaVA takes the hidden state before the last block, without the class token", "[vlm_config]") {
  const VlmConfig config = llava().read();
  CHECK(config.family == "llava");
  CHECK(config.vision_type == "clip_vision_model");
  CHECK(config.features.layers == std::vector<int64_t>{3});
  CHECK_FALSE(config.features.class_token);
  CHECK(config.vision.blocks.layers == 4);  // the whole tower's: who loads it cuts it
  CHECK(config.vision.image_height == 42);
  CHECK(config.projector.in == 48);
  CHECK(config.projector.out == 32);
  CHECK(config.projector.bias);
  CHECK_FALSE(config.projector.norm);
  CHECK(config.picture_id == 300);
  CHECK(config.picture_token == "<image>");
  CHECK(config.tiles.rule == TileRule::One);
  CHECK_FALSE(config.newline);
  CHECK_FALSE(config.pieces_alone);
  CHECK(config.stop_ids == std::vector<int64_t>{7});
}

TEST_CASE("what a LLaVA folder leaves out is its class's default", "[vlm_config]") {
  VlmFiles files = llava();
  files.config() = {{"model_type", "llava"}};
  files.processor()["size"] = {{"shortest_edge", 336}};
  files.processor()["crop_size"] = sides(336);
  CHECK_THROWS_WITH(files.read(), Catch::Contains("image_token_index") && Catch::Contains("32000"));
  files.config()["text_config"] = {{"vocab_size", 32'064}};
  const VlmConfig config = files.read();
  CHECK(config.vision.blocks.layers == 24);
  CHECK(config.vision.blocks.width == 1'024);
  CHECK(config.vision.table_height == 336);
  CHECK(config.features.layers == std::vector<int64_t>{23});
  CHECK(config.decoder.width == 4'096);
  CHECK(config.picture_id == 32'000);
  CHECK(config.stop_ids.empty());
}

TEST_CASE("several layers stand side by side, and a full selection keeps the class token", "[vlm_config]") {
  VlmFiles files = llava();
  files.config()["vision_feature_layer"] = {-2, 1, 0};
  files.config()["vision_feature_select_strategy"] = "full";
  const VlmConfig config = files.read();
  CHECK(config.features.layers == std::vector<int64_t>{3, 1, 0});
  CHECK(config.features.class_token);
  CHECK(config.projector.in == 144);
}

TEST_CASE("LLaVA's own processor squares pictures where it says so", "[vlm_config]") {
  VlmFiles files = llava();
  files.processor()["image_processor_type"] = "LlavaImageProcessor";
  CHECK_FALSE(files.read().tiles.square);
  files.processor()["do_pad"] = true;
  CHECK(files.read().tiles.square);
  files.processor()["image_processor_type"] = "CLIPImageProcessor";
  CHECK_THROWS_WITH(files.read(), Catch::Contains("do_pad"));
}

TEST_CASE("OneVision has grids, a newline and a tower without its head", "[vlm_config]") {
  const VlmConfig config = onevision().read();
  CHECK(config.tiles.rule == TileRule::AnyRes);
  CHECK(config.tiles.grids == std::vector<std::array<int64_t, 2>>{{44, 44}, {44, 88}, {88, 44}});
  CHECK(config.tiles.most_tiles == 4);
  CHECK(config.newline);
  CHECK(config.features.layers == std::vector<int64_t>{3});
  CHECK(config.preprocess.mean == std::vector<double>{0.48145466, 0.4578275, 0.40821073});
  CHECK(config.decoder.model_type == "qwen2");
}

TEST_CASE("InternVL cuts pictures whatever its processor's file says", "[vlm_config]") {
  const VlmConfig config = internvl().read();
  CHECK(config.tiles.rule == TileRule::Dynamic);
  CHECK(config.tiles.most_tiles == 6);
  CHECK(config.tiles.thumbnail);
  CHECK(config.features.layers == std::vector<int64_t>{3});
  CHECK(config.features.shuffle);
  CHECK(config.projector.in == 4 * 48);
  CHECK(config.projector.norm);
  CHECK(config.vision.blocks.layer_scale);
  CHECK(config.vision.blocks.qkv_bias);
  CHECK(config.picture_token == "<IMG_CONTEXT>");
  CHECK(config.decoder.tied);  // by its class's default
  VlmFiles untied = internvl();
  untied.config()["tie_word_embeddings"] = false;
  CHECK_FALSE(untied.read().decoder.tied);
  untied.config()["text_config"]["tie_word_embeddings"] = true;
  CHECK(untied.read().decoder.tied);
  VlmFiles plain = internvl();
  plain.config()["vision_config"].erase("attention_bias");
  CHECK_FALSE(plain.read().vision.blocks.qkv_bias);
}

TEST_CASE("a mixture has two towers on the same grid of patches", "[vlm_config]") {
  const VlmConfig config = mof().read();
  CHECK(config.mof == MofKind::Additive);
  CHECK(config.mof_alpha == 0.25);
  REQUIRE(config.second_vision);
  CHECK(config.second_vision->image_height == 42);  // of positions learned for 56
  CHECK(config.second_features.layers == std::vector<int64_t>{2});
  CHECK(config.template_name == "llava_v1");
  CHECK(config.pieces_alone);
  VlmFiles interleaved = mof();
  interleaved.config()["mof"] = {{"kind", "interleaved"}};
  interleaved.config()["second_vision_config"]["hidden_size"] = 72;
  CHECK(interleaved.read().mof == MofKind::Interleaved);
}

TEST_CASE("a converted folder says its newline, template and system message", "[vlm_config]") {
  VlmFiles files = llava();
  files.config()["unisim"] = {{"newline_per_image", true}, {"template", "qwen_1_5"}, {"system_message", "Be brief."}};
  const VlmConfig config = files.read();
  CHECK(config.newline_per_image);
  CHECK(config.newline);
  CHECK(config.template_name == "qwen_1_5");
  CHECK(config.system_message == "Be brief.");
  CHECK(config.pieces_alone);
  files.config()["unisim"]["pieces_alone"] = false;
  CHECK_FALSE(files.read().pieces_alone);
  files.config()["unisim"]["colour"] = 3;
  CHECK_THROWS_WITH(files.read(), Catch::Contains("unisim.colour"));
}

TEST_CASE("the template is the first of three places", "[vlm_config]") {
  VlmFiles files = llava();
  CHECK(files.read().chat_template.empty());
  files.files["tokenizer_config.json"] = {{"chat_template", "third"}};
  CHECK(files.read().chat_template == "third");
  files.files["tokenizer_config.json"]["chat_template"] =
      Json::array({{{"name", "tool_use"}, {"template", "no"}}, {{"name", "default"}, {"template", "listed"}}});
  CHECK(files.read().chat_template == "listed");
  files.files["tokenizer_config.json"]["chat_template"] = Json::array({{{"name", "rag"}, {"template", "no"}}});
  CHECK_THROWS_WITH(files.read(), Catch::Contains("\"default\""));
  files.files["chat_template.json"] = {{"chat_template", "second"}};
  CHECK(files.read().chat_template == "second");
  files.texts["chat_template.jinja"] = "first\n";
  CHECK(files.read().chat_template == "first\n");
}

TEST_CASE("stop tokens are the generation's, else the configuration's, else the decoder's", "[vlm_config]") {
  VlmFiles files = llava();
  CHECK(files.read().stop_ids == std::vector<int64_t>{7});
  files.config()["eos_token_id"] = 9;
  CHECK(files.read().stop_ids == std::vector<int64_t>{9});
  files.files["generation_config.json"] = {{"eos_token_id", {4, 5}}};
  CHECK(files.read().stop_ids == std::vector<int64_t>{4, 5});
  files.files["generation_config.json"] = {{"do_sample", false}};
  CHECK(files.read().stop_ids == std::vector<int64_t>{9});
  files.files["generation_config.json"] = {{"eos_token_id", "stop"}};
  CHECK_THROWS_WITH(files.read(), Catch::Contains("eos_token_id holds \"stop\""));
}

TEST_CASE("an older folder's processor has a file of its own, and the nested one goes first", "[vlm_config]") {
  VlmFiles files = llava();
  files.files["preprocessor_config.json"] = files.processor();
  files.files["preprocessor_config.json"]["image_std"] = {0.1, 0.1, 0.1};
  CHECK(files.read().preprocess.std[0] == 0.26862954);
  files.files.erase("processor_config.json");
  CHECK(files.read().preprocess.std[0] == 0.1);
  files.files.erase("preprocessor_config.json");
  CHECK_THROWS_WITH(files.read(), Catch::Contains("no preprocessor_config.json"));
}

namespace {

struct Refused {
  const char* claim;
  std::function<VlmFiles()> base;
  std::function<void(VlmFiles&)> change;
  std::vector<const char*> said;
};

void set(Json& json, const char* pointer, const Json& value) { json[Json::json_pointer(pointer)] = value; }

const std::vector<Refused> refusals = {
    {"an original LLaVA", llava, [](VlmFiles& f) { set(f.config(), "/mm_vision_tower", "openai/clip"); },
     {"Unsupported", "original layout of LLaVA", "unisim convert"}},
    {"an original InternVL", internvl, [](VlmFiles& f) { set(f.config(), "/model_type", "internvl_chat"); },
     {"Unsupported", "original layout of InternVL", "unisim convert"}},
    {"another family", llava, [](VlmFiles& f) { set(f.config(), "/model_type", "qwen2_vl"); },
     {"Unsupported", "qwen2_vl", "llava_onevision"}},
    {"another class", llava, [](VlmFiles& f) { set(f.config(), "/architectures/0", "LlavaLlamaForCausalLM"); },
     {"Unsupported", "LlavaLlamaForCausalLM", "LlavaForConditionalGeneration"}},
    {"an unknown field", llava, [](VlmFiles& f) { set(f.config(), "/mm_use_patches", 1); },
     {"Unsupported", "mm_use_patches"}},
    {"an unknown field of the tower", internvl, [](VlmFiles& f) { set(f.config(), "/vision_config/alibi", true); },
     {"Unsupported", "vision_config.alibi"}},
    {"another tower", llava, [](VlmFiles& f) { set(f.config(), "/vision_config/model_type", "pixtral"); },
     {"Unsupported", "pixtral", "clip_vision_model"}},
    {"another decoder", llava, [](VlmFiles& f) { set(f.config(), "/text_config/model_type", "mistral"); },
     {"Unsupported", "mistral", "qwen3"}},
    {"a layer that is not there", llava, [](VlmFiles& f) { set(f.config(), "/vision_feature_layer", -6); },
     {"DataError", "vision_feature_layer", "-6", "-5"}},
    {"a layer with a fraction", llava, [](VlmFiles& f) { set(f.config(), "/vision_feature_layer", 1.5); },
     {"DataError", "vision_feature_layer", "1.5"}},
    {"no layers", llava, [](VlmFiles& f) { set(f.config(), "/vision_feature_layer", Json::array()); },
     {"DataError", "vision_feature_layer"}},
    {"another selection", llava, [](VlmFiles& f) { set(f.config(), "/vision_feature_select_strategy", "half"); },
     {"Unsupported", "vision_feature_select_strategy", "half"}},
    {"a class token left out of a tower that has none", onevision,
     [](VlmFiles& f) { set(f.config(), "/vision_feature_select_strategy", "default"); },
     {"Unsupported", "vision_feature_select_strategy", "full"}},
    {"an image token beyond the vocabulary", llava, [](VlmFiles& f) { set(f.config(), "/image_token_index", 400); },
     {"DataError", "image_token_index", "400"}},
    {"another size than the tower's", llava, [](VlmFiles& f) { set(f.processor(), "/crop_size/height", 56); },
     {"DataError", "56 x 42", "42 x 42"}},
    {"OneVision's processor in LLaVA's folder", llava,
     [](VlmFiles& f) { f.processor() = onevision().processor(); },
     {"Unsupported", "LlavaOnevisionImageProcessor", "llava"}},
    {"LLaVA's processor in InternVL's folder", internvl,
     [](VlmFiles& f) { f.processor() = llava().processor(); },
     {"Unsupported", "CLIPImageProcessor", "GotOcr2ImageProcessor"}},
    {"grids that differ", onevision, [](VlmFiles& f) { set(f.processor(), "/image_grid_pinpoints/1/1", 132); },
     {"DataError", "image_grid_pinpoints", "not the same"}},
    {"a grid that tiles do not fill", onevision,
     [](VlmFiles& f) {
       set(f.config(), "/image_grid_pinpoints/2/0", 90);
       set(f.processor(), "/image_grid_pinpoints/2/0", 90);
     },
     {"DataError", "90 x 44", "44"}},
    {"grids that are no grids", onevision, [](VlmFiles& f) { set(f.config(), "/image_grid_pinpoints/0", 44); },
     {"DataError", "image_grid_pinpoints"}},
    {"another aspect ratio", onevision, [](VlmFiles& f) { set(f.config(), "/vision_aspect_ratio", "anyres"); },
     {"Unsupported", "vision_aspect_ratio", "anyres_max_N"}},
    {"no newline in OneVision", onevision,
     [](VlmFiles& f) { set(f.config(), "/use_image_newline_parameter", false); },
     {"Unsupported", "use_image_newline_parameter"}},
    {"tiles that are cropped", onevision,
     [](VlmFiles& f) {
       set(f.processor(), "/do_center_crop", true);
       set(f.processor(), "/crop_size", sides(44));
     },
     {"Unsupported", "tiles", "square"}},
    {"a mean that is no colour", onevision, [](VlmFiles& f) { set(f.processor(), "/image_mean", {0.5, -1, 0.5}); },
     {"DataError", "image_mean", "-1"}},
    {"fewer tiles at most than at least", internvl, [](VlmFiles& f) { set(f.processor(), "/min_patches", 7); },
     {"DataError", "min_patches is 7", "6"}},
    {"another shuffle", internvl, [](VlmFiles& f) { set(f.config(), "/downsample_ratio", 0.25); },
     {"Unsupported", "downsample_ratio"}},
    {"an odd grid that is shuffled", internvl, [](VlmFiles& f) { set(f.processor(), "/size", sides(70)); },
     {"DataError", "5 x 5", "2 x 2"}},
    {"queries that are normalised", internvl, [](VlmFiles& f) { set(f.config(), "/vision_config/use_qk_norm", true); },
     {"Unsupported", "vision_config.use_qk_norm"}},
    {"a norm without a mean", internvl, [](VlmFiles& f) { set(f.config(), "/vision_config/norm_type", "rms_norm"); },
     {"Unsupported", "vision_config.norm_type", "rms_norm"}},
    {"an unknown mixture", mof, [](VlmFiles& f) { set(f.config(), "/mof/kind", "stacked"); },
     {"Unsupported", "mof.kind", "stacked"}},
    {"a share above one", mof, [](VlmFiles& f) { set(f.config(), "/mof/alpha", 1.5); },
     {"DataError", "mof.alpha", "1.5"}},
    {"features of two widths that are added", mof,
     [](VlmFiles& f) { set(f.config(), "/second_vision_config/hidden_size", 72); },
     {"DataError", "48", "72", "added"}},
    {"two grids of patches", mof, [](VlmFiles& f) { set(f.config(), "/second_vision_config/patch_size", 21); },
     {"DataError", "3 and 2"}},
    {"no mixture", mof, [](VlmFiles& f) { f.config().erase("mof"); }, {"DataError", "mof"}},
    {"no second tower", mof, [](VlmFiles& f) { f.config().erase("second_vision_config"); },
     {"DataError", "second_vision_config"}},
};

}  // namespace

TEST_CASE("a folder that would be read wrongly is refused by name", "[vlm_config]") {
  for (const Refused& refused : refusals) {
    CAPTURE(refused.claim);
    VlmFiles files = refused.base();
    CHECK_NOTHROW(files.read());
    refused.change(files);
    std::string said = "read without complaint";
    try {
      files.read();
    } catch (const Unsupported& error) {
      said = std::string("Unsupported: ") + error.what();
    } catch (const DataError& error) {
      said = std::string("DataError: ") + error.what();
    }
    CAPTURE(said);
    for (const char* part : refused.said) CHECK(said.find(part) != std::string::npos);
  }
}

TEST_CASE("an encoder's folder is not read as one that cuts pictures", "[vlm_config]") {
  Files files = clip_files();
  files.files["preprocessor_config.json"]["image_processor_type"] = "LlavaImageProcessor";
  CHECK_THROWS_WITH(files.read(), Catch::Contains("LlavaImageProcessor") && Catch::Contains("CLIPImageProcessor"));
}

TEST_CASE("a folder without files says which", "[vlm_config]") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(read_vlm_config(folder.path() / "none"), Catch::Contains("no folder"));
  CHECK_THROWS_WITH(read_vlm_config(folder.path()), Catch::Contains("config.json"));
}
