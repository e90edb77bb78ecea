#include <unisim/asking.h>
#include <unisim/error.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <memory>
#include <numeric>

#include "asking.h"
#include "metric_state.h"
#include "model_identity.h"
#include "sha256.h"
#include "vlm_state.h"

/// A vision-language model as a metric: questions in, letters out.
namespace unisim {
namespace {

constexpr int64_t kTextTokens = 512;    ///< of an answer in mode "text", as published
constexpr int64_t kReasonTokens = 128;

struct Judge {
  std::string name;
  Vlm vlm;
  std::vector<Metric> tools;
  AskingOptions options;
};

/// What the model is shown and said before it answers, as it grows turn by turn.
struct Talk {
  VlmAsked asked = {};

  void say(QuestionAsked question, std::optional<std::string> answer = {}) {
    const auto pictures = std::ssize(question.images);
    asked.images.insert(asked.images.end(), question.images.begin(), question.images.end());
    asked.turns.emplace_back(std::move(question.prompt), pictures, std::move(answer));
  }
};

/// Candidates in turned places: 0 1 2, then 1 2 0, then 2 0 1; or the first alone.
std::vector<std::vector<std::size_t>> orders_of(std::size_t candidates, bool swap) {
  std::vector<std::vector<std::size_t>> orders;
  for (std::size_t turn = 0; turn < (swap ? candidates : 1); ++turn) {
    std::vector<std::size_t>& order = orders.emplace_back(candidates);
    for (std::size_t k = 0; k < candidates; ++k) order[k] = (k + turn) % candidates;
  }
  return orders;
}

std::string three_digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

/// A tool without the way to its folder: what a model answers must not depend on where files lie.
std::string short_name(const Metric& tool) {
  const std::string name = tool.name();
  const auto colon = name.find(':'), slash = name.rfind('/');
  const bool has_folders = colon != std::string::npos && slash != std::string::npos && colon < slash;
  return has_folders && slash + 1 < name.size() ? name.substr(0, colon + 1) + name.substr(slash + 1) : name;
}

std::string direction_of(const Metric& tool, const AskedItem& item) {
  if (!item.attribute.empty()) return "higher means more " + item.attribute;
  const std::string alike = tool.higher_is_better() ? "higher is more alike" : "lower is more alike";
  return item.reference ? alike : "of the two others, " + alike;
}

double value_of(const Metric& tool, const AskedItem& item, std::span<const std::size_t> order, std::size_t place) {
  const Item& candidate = item.candidates[order[place]];
  if (item.reference) return tool(*item.reference, candidate);
  if (!item.attribute.empty()) return tool.attribute({&std::get<Image>(candidate), 1}, item.attribute)[0];
  return tool(item.candidates[order[(place + 1) % 3]], item.candidates[order[(place + 2) % 3]]);
}

/// What the tools say of the candidates in this order, as lines before the question. Empty without tools.
std::string table_of(std::span<const Metric> tools, const AskedItem& item, std::span<const std::size_t> order) {
  if (tools.empty()) return "";
  std::string table = "Measurements of the options:\n";
  for (const Metric& tool : tools) {
    table += text_of(short_name(tool), " (", direction_of(tool, item), "): ");
    for (std::size_t k = 0; k < order.size(); ++k)
      table += text_of(k ? ", " : "", "(", kLetters[k], ") ", three_digits(value_of(tool, item, order, k)));
    table += '\n';
  }
  return table + "\n";
}

QuestionAsked with_tools(QuestionAsked question, const Judge& judge, const AskedItem& item,
                         std::span<const std::size_t> order) {
  if (std::string table = table_of(judge.tools, item, order); !table.empty())
    question.prompt.insert(question.prompt.begin(), {PromptPart::Kind::Text, std::move(table)});
  return question;
}

std::vector<std::size_t> as_given(const AskedItem& item) {
  std::vector<std::size_t> order(item.candidates.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  return order;
}

/// The talk up to the question of this order; what the model reasoned goes to `reply`.
Talk talk_of(const Judge& judge, const AskedItem& item, std::span<const AskedItem> examples,
             std::span<const std::size_t> order, std::string& reply) {
  Talk talk;
  talk.asked.fixed_turns = examples.size();
  talk.asked.template_name = judge.options.template_name;
  for (const AskedItem& example : examples) {
    const std::vector<std::size_t> given = as_given(example);
    talk.say(with_tools(question_of(example, given), judge, example, given),
             std::string(kLetters[static_cast<std::size_t>(example.label)]));
  }
  if (!judge.options.reason) {
    talk.say(with_tools(question_of(item, order), judge, item, order));
    return talk;
  }
  const Vlm::State& vlm = judge.vlm.state();
  Talk first = talk;
  first.say(reasons_of(item, order));
  const GenerateOptions options{.max_new_tokens = kReasonTokens, .kept_prefixes = false};
  reply = vlm.generate(vlm.plan_to_run("by_asking", first.asked, kReasonTokens), options).text;
  talk.say(reasons_of(item, order), reply);
  // The table speaks of options by their letters, so it stands where these are told.
  talk.say(with_tools({.prompt = marked(letter_question(item))}, judge, item, order));
  return talk;
}

/// Shares of the letters, for each order, and how much of all probability they have.
struct Answers {
  std::vector<std::vector<double>> shares;
  double coverage = 0;
};

Answers by_probability(const Judge& judge, std::vector<Talk> talks, std::size_t candidates) {
  const Vlm::State& vlm = judge.vlm.state();
  std::vector<PlannedPrompt> plans;
  for (Talk& talk : talks) {
    talk.asked.choices.assign(std::begin(kLetters), std::begin(kLetters) + static_cast<std::ptrdiff_t>(candidates));
    plans.push_back(vlm.plan_to_run("by_asking", talk.asked, 0));
  }
  Answers answers;
  const std::vector<TokenLogs> logs = vlm.answer_logs(plans, false);
  for (std::size_t k = 0; k < plans.size(); ++k) {
    const Choice choice = choice_of(plans[k], logs[k], {});
    answers.shares.push_back(choice.probabilities);
    answers.coverage += choice.coverage / static_cast<double>(talks.size());
  }
  return answers;
}

Answers by_text(const Judge& judge, const std::vector<Talk>& talks, const AskedItem& item, Judgement& judgement) {
  const Vlm::State& vlm = judge.vlm.state();
  Answers answers{.shares = {}, .coverage = 1};
  for (std::size_t k = 0; k < talks.size(); ++k) {
    const GenerateOptions options{.max_new_tokens = kTextTokens, .kept_prefixes = false};
    const std::string said = vlm.generate(vlm.plan_to_run("by_asking", talks[k].asked, kTextTokens), options).text;
    answers.shares.emplace_back(item.candidates.size(), 0.0)[place_said(item.question, said)] = 1;
    judgement.unparsable = judgement.unparsable.value_or(0) + !says_a_place(item.question, said);
    std::string& reply = judgement.replies[k];
    reply += reply.empty() ? said : "\n" + said;
  }
  return answers;
}

/// Mean over the orders of each candidate's share, wherever it stood; and the lean to the first letter.
void average(const Answers& answers, std::span<const std::vector<std::size_t>> orders, Judgement& judgement) {
  const std::size_t n = orders[0].size();
  std::vector<double> scores(n);
  double first = 0;
  for (std::size_t o = 0; o < orders.size(); ++o) {
    for (std::size_t place = 0; place < n; ++place) scores[orders[o][place]] += answers.shares[o][place];
    first += answers.shares[o][0];
  }
  const auto count = static_cast<double>(orders.size()), places = static_cast<double>(n);
  for (const double score : scores) judgement.scores.push_back(static_cast<float>(score / count));
  judgement.coverage = static_cast<float>(answers.coverage);
  // Of one order alone a lean cannot be told from an opinion.
  judgement.bias = orders.size() > 1 ? static_cast<float>(places / (places - 1) * (first / count - 1 / places)) : 0;
}

Judgement judged(const Judge& judge, const AskedItem& item, std::span<const AskedItem> examples) {
  const auto orders = orders_of(item.candidates.size(), judge.options.swap);
  Judgement judgement;
  std::vector<Talk> talks;
  judgement.replies.resize(orders.size());
  for (std::size_t k = 0; k < orders.size(); ++k)
    talks.push_back(talk_of(judge, item, examples, orders[k], judgement.replies[k]));
  const Answers answers = judge.options.mode == "text"
                              ? by_text(judge, talks, item, judgement)
                              : by_probability(judge, std::move(talks), item.candidates.size());
  average(answers, orders, judgement);
  if (judge.options.mode != "text" && !judge.options.reason) judgement.replies.clear();
  return judgement;
}

/// VQAScore: the probability of "Yes" among everything that the model could say.
double shown(const Judge& judge, const Item& x, const Item& y) {
  const Text* text = std::get_if<Text>(&x) ? std::get_if<Text>(&x) : std::get_if<Text>(&y);
  const Image* image = std::get_if<Image>(&x) ? std::get_if<Image>(&x) : std::get_if<Image>(&y);
  require(judge.options.shots == 0 && !judge.options.reason && judge.options.mode == "probability", "[", judge.name,
          "] rates an image with a text by one probability: mode, shots and reason are of the questions of a task");
  require(text && image, "[", judge.name, "] rates an image with a text; of two ", text ? "texts" : "bare images",
          " it would have to be told what to compare: rank, odd_one_out and attribute ask");
  VlmAsked asked{.images = {image},
                 .turns = {PromptTurn(shows_question(text->text), 1)},
                 .choices = {"Yes"},
                 .template_name = judge.options.template_name};
  const PlannedPrompt plan = judge.vlm.state().plan_to_run("by_asking", asked, 0);
  const TokenLogs logs = judge.vlm.state().answer_logs({&plan, 1}, false)[0];
  return std::exp(std::accumulate(logs[0].begin(), logs[0].end(), 0.0));
}

std::string identity_of(const Judge& judge) {
  const AskingOptions& o = judge.options;
  std::string said = text_of("vlm\n", folder_identity(judge.vlm.folder()), "dtype ", name_of(judge.vlm.dtype()),
                             "\ndevice ", judge.vlm.device().is_cpu() ? "cpu" : "cuda", "\nexecutor ",
                             judge.vlm.executor(), "\nmode ", o.mode, "\nswap ", o.swap, "\nreason ", o.reason, '\n');
  if (!o.template_name.empty()) said += "template " + o.template_name + "\n";
  for (const Metric& tool : judge.tools)
    said += text_of("tool ", short_name(tool), ' ', tool.state().identity ? tool.state().identity() : "", '\n');
  return sha256(said);
}

std::string name_of(const std::string& model, const AskingOptions& options) {
  std::string name = "vlm:" + model;
  if (options.mode != "probability") name += ",mode=" + options.mode;
  if (!options.swap) name += ",swap=no";
  if (options.shots > 0) name += text_of(",shots=", options.shots, ",seed=", options.seed);
  if (options.reason) name += ",reason=yes";
  if (!options.template_name.empty()) name += ",template=" + options.template_name;
  return name;
}

}  // namespace

Metric::State asking_state(const std::string& model, const Vlm& vlm, std::span<const Metric> tools,
                           const AskingOptions& options) {
  require(options.mode == "probability" || options.mode == "text", "[by_asking] mode \"", options.mode,
          "\" is not one of probability, text");
  require(options.shots >= 0 && options.shots <= 64, "[by_asking] shots is ", options.shots, ", expected 0 to 64");
  require(options.template_name != "raw", "[by_asking] template \"raw\" renders nothing; name one of the others");
  render_prompt(vlm.state().config, options.template_name, std::array{PromptTurn("", 0)});  // throws if none is known
  for (const Metric& tool : tools)
    require(!tool.state().judge, "[by_tools] ", tool.name(), " is asked itself, tools measure");
  const auto judge = std::make_shared<const Judge>(
      Judge{name_of(model, options), vlm, {tools.begin(), tools.end()}, options});
  Metric::State state{.name = judge->name, .no_images = "two bare images leave open what to compare"};
  for (const Metric& tool : tools) state.name += "+" + tool.name();
  state.asking = options;
  state.tools.assign(tools.begin(), tools.end());
  state.judge = [judge](const AskedItem& item, std::span<const AskedItem> examples) {
    return judged(*judge, item, examples);
  };
  state.score = [judge](std::span<const Item* const> items, std::span<const ItemPair> pairs, const Progress& progress) {
    std::vector<double> scores;
    for (const auto& [x, y] : pairs) {
      scores.push_back(shown(*judge, *items[x], *items[y]));
      if (progress) progress(std::ssize(scores), std::ssize(pairs));
    }
    return scores;
  };
  state.identity = said_once([judge] { return identity_of(*judge); });
  state.model = {.parameters = vlm.parameters(), .dtype = name_of(vlm.dtype())};
  return state;
}

Metric by_asking(const Vlm& vlm, const AskingOptions& options) { return by_tools(vlm, {}, options); }

Metric by_tools(const Vlm& vlm, std::span<const Metric> tools, const AskingOptions& options) {
  return Metric(std::make_shared<const Metric::State>(asking_state(vlm.name(), vlm, tools, options)));
}

}  // namespace unisim
