#include <unisim/task.h>

#include <algorithm>
#include <array>
#include <set>

#include "attribute.h"
#include "io/file.h"
#include "io/json.h"
#include "sha256.h"

namespace unisim {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostBytes = int64_t{1} << 30;  ///< of a table of items
constexpr int64_t kMostLine = int64_t{1} << 20;

/// What an item of a question must hold.
struct Shape {
  Question question;
  std::string_view name;
  std::string_view reference;  ///< "image", "text" or nothing
  std::string_view candidate;
  std::size_t candidates;
};
constexpr std::array<Shape, 7> kShapes = {{
    {Question::Img2afc, "img-2afc", "image", "image", 2},
    {Question::It2afc, "it-2afc", "text", "image", 2},
    {Question::Text2afc, "text-2afc", "image", "text", 2},
    {Question::Iqa, "iqa", "", "image", 2},
    {Question::Paa, "paa", "", "image", 2},
    {Question::Ooo, "ooo", "", "image", 3},
    {Question::Ir, "ir", "image", "", 0},
}};
constexpr std::string_view kKnown = "img-2afc, it-2afc, text-2afc, iqa, paa, ooo, ir";

const Shape& shape_of(Question question) { return kShapes.at(static_cast<std::size_t>(question)); }

/// Stays inside the folder that it is relative to, and means the same on every system.
bool is_inside(std::string_view path) {
  if (path.empty() || path.find('\0') != path.npos || path.find('\\') != path.npos) return false;
  for (std::size_t first = 0; first <= path.size();) {
    const std::size_t slash = std::min(path.find('/', first), path.size());
    const std::string_view part = path.substr(first, slash - first);
    if (part.empty() || part == "." || part == "..") return false;
    first = slash + 1;
  }
  return true;
}

std::string picture_path(Fields& fields, std::string_view key) {
  std::string path = fields.string(key);
  if (!is_inside(path)) fields.refuse(key, "a path inside of the task's folder, without an empty part or \"..\"");
  return path;
}

Operand operand_of(const Json& json, const fs::path& line, const std::string& where, std::string_view kind) {
  Fields fields(json, line, where);
  Operand operand;
  if (kind == "image")
    operand = Picture{picture_path(fields, "image")};
  else
    operand = Text{fields.string("text")};
  fields.finish();
  return operand;
}

/// A task may come from anyone: no link in it leads out of it.
fs::path inside_of(const fs::path& task, const fs::path& relative) {
  fs::path file = task / relative;
  const std::string real = fs::weakly_canonical(file).string();
  const std::string root = (fs::weakly_canonical(task) / "").string();
  require_data(real.starts_with(root), file, "is a link that leads out of the task's folder");
  return file;
}

const Json& array_of(Fields& fields, std::string_view key) {
  const Json& json = fields.value(key);
  if (!json.is_array()) fields.refuse(key, "an array");
  return json;
}

std::string known_attribute(Fields& fields) {
  std::string attribute = fields.string("attribute");
  try {
    attribute_prompts(attribute);
  } catch (const std::invalid_argument& error) {
    fields.refuse("attribute", error.what());
  }
  return attribute;
}

bool is_hash(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

std::vector<int64_t> places_of(Fields& fields, std::string_view key, int64_t count) {
  std::vector<int64_t> places;
  for (const Json& json : array_of(fields, key)) {
    const bool fits = json.is_number_integer() && json.get<int64_t>() >= 0 && json.get<int64_t>() < count;
    if (!fits) fields.refuse(key, text_of("places in a database of ", count));
    places.push_back(json.get<int64_t>());
  }
  return places;
}

}  // namespace

std::string name_of(Question question) { return std::string(shape_of(question).name); }

/// Reads a folder into a Task, one table after the other.
class TaskReader {
 public:
  TaskReader(Task& task) : task_(task) {}

  void read() {
    const fs::path file = inside_of(task_.folder_, "task.json");
    const std::vector<std::byte> bytes = read_file(file, kMostLine);
    task_.manifest_ = sha256(bytes);
    const Json json = parse_json(bytes, file);
    Fields fields(json, file);
    fields.only("format", "unisim-task-1");
    task_.name_ = fields.string("name");
    const std::string asked = fields.string("task");
    const auto shape = std::ranges::find(kShapes, asked, &Shape::name);
    if (shape == kShapes.end()) fields.refuse("task", text_of("one of ", kKnown));
    task_.question_ = shape->question;
    if (task_.question_ == Question::Iqa || task_.question_ == Question::Paa)
      task_.attribute_ = known_attribute(fields);
    task_.measure_ = fields.string("measure");
    const std::string measure = task_.question_ == Question::Ir ? "map" : "accuracy";
    if (task_.measure_ != measure) fields.unsupported("measure", measure);
    fields.only("tie", "first");
    fields.ignore({"origin", "rule"});
    read_tables(fields);
    fields.finish();
  }

 private:
  void read_tables(Fields& manifest) {
    read_table(manifest, "files", [this](const Json& json, const fs::path& line) { read_file_row(json, line); });
    if (task_.question_ == Question::Ir)
      read_table(manifest, "database", [this](const Json& json, const fs::path& line) {
        task_.database_.push_back(known(std::get<Picture>(operand_of(json, line, "", "image")).path, line));
      });
    read_table(manifest, "items", [this](const Json& json, const fs::path& line) { read_item(json, line); });
  }

  template <class Row>
  void read_table(Fields& manifest, const std::string& key, const Row& row) {
    Fields part = manifest.object(key);
    const int64_t count = part.integer("count", 0, int64_t{1} << 32);
    const std::string hash = part.string("sha256");
    part.finish();
    const fs::path file = inside_of(task_.folder_, key + ".jsonl");
    const std::vector<std::byte> bytes = read_file(file, kMostBytes);
    const std::string found = sha256(bytes);
    require_data(found == hash, file, "its SHA-256 is ", found, ", the manifest has ", hash);
    int64_t lines = 0;
    for (auto first = bytes.begin(); first != bytes.end();) {
      const auto last = std::find(first, bytes.end(), std::byte{'\n'});
      const fs::path line = file.string() + ":" + std::to_string(++lines);
      row(parse_json({first, last}, line, {.max_bytes = kMostLine}), line);
      first = last == bytes.end() ? last : last + 1;
    }
    require_data(lines == count, file, "has ", lines, " lines, the manifest counts ", count);
  }

  void read_file_row(const Json& json, const fs::path& line) {
    Fields fields(json, line);
    std::string path = picture_path(fields, "path");
    TaskFile file{fields.string("sha256"), fields.integer("bytes", 0, int64_t{1} << 40), fields.boolean("made")};
    fields.finish();
    require_data(is_hash(file.sha256), line, "sha256 is not 64 hexadecimal digits: ", file.sha256);
    require_data(task_.files_.emplace(path, std::move(file)).second, line, "names ", path, " a second time");
  }

  void read_item(const Json& json, const fs::path& line) {
    const Shape& shape = shape_of(task_.question_);
    Fields fields(json, line);
    TaskItem item;
    if (!shape.reference.empty())
      item.reference = operand_of(fields.value("reference"), line, "reference", shape.reference);
    if (shape.question == Question::Ir) {
      const auto count = static_cast<int64_t>(task_.database_.size());
      item.easy = places_of(fields, "easy", count);
      item.hard = places_of(fields, "hard", count);
      item.junk = places_of(fields, "junk", count);
      std::set<int64_t> places;
      for (const auto* list : {&item.easy, &item.hard, &item.junk})
        for (const int64_t place : *list)
          require_data(places.insert(place).second, line, "place ", place, " stands twice in easy, hard and junk");
    } else {
      const Json& candidates = array_of(fields, "candidates");
      if (candidates.size() != shape.candidates)
        fields.refuse("candidates", text_of(shape.candidates, " of them"));
      for (const Json& candidate : candidates)
        item.candidates.push_back(operand_of(candidate, line, "candidates", shape.candidate));
      item.label = fields.integer("label", 0, static_cast<int64_t>(shape.candidates) - 1);
    }
    if (fields.has("vote")) {
      item.vote = fields.number("vote");
      if (shape.candidates != 2) fields.refuse("vote", "none: votes are of two candidates");
      if (!(*item.vote >= 0 && *item.vote <= 1)) fields.refuse("vote", "a share in [0, 1]");
    }
    item.group = fields.string_or("group", "");
    fields.finish();
    if (item.reference) check_known(*item.reference, line);
    for (const Operand& candidate : item.candidates) check_known(candidate, line);
    task_.items_.push_back(std::move(item));
  }

  void check_known(const Operand& operand, const fs::path& line) {
    if (const Picture* picture = std::get_if<Picture>(&operand)) known(picture->path, line);
  }

  const std::string& known(const std::string& path, const fs::path& line) {
    require_data(task_.files_.contains(path), line, "names ", path, ", which files.jsonl does not");
    return task_.files_.find(path)->first;
  }

  Task& task_;
};

Task Task::load(const fs::path& folder, const fs::path& data) {
  Task task;
  task.folder_ = folder;
  task.data_ = data;
  TaskReader(task).read();
  return task;
}

fs::path Task::file_of(const std::string& picture) const {
  const auto found = files_.find(picture);
  require(found != files_.end(), "[task] ", name_, " has no picture ", picture);
  if (found->second.made) return inside_of(folder_, fs::path("made") / picture);
  require(!data_.empty(), "[task] ", name_, " needs the folder of its data set: its pictures, ", picture,
          " say, are not in the task's own (--data)");
  return data_ / picture;
}

std::vector<std::byte> Task::bytes_of(const std::string& picture) const {
  const fs::path file = file_of(picture);
  const TaskFile& known = files_.find(picture)->second;
  std::vector<std::byte> bytes = read_file(file, kMostBytes);
  const std::string found = sha256(bytes);
  require_data(found == known.sha256, file, "its SHA-256 is ", found, ", the task was made of ", known.sha256);
  return bytes;
}

}  // namespace unisim
