#include <unisim/error.h>

#include <algorithm>

#include "json.h"
#include "quote.h"

namespace unisim {
namespace {

/// A value as a message shows it: on one line and short, a container only by its kind and size.
std::string shown(const Json& value) {
  if (value.is_object()) return text_of("an object of ", value.size(), value.size() == 1 ? " key" : " keys");
  if (value.is_string()) return in_quotes(value.get_ref<const std::string&>());
  if (!value.is_array()) return value.dump();
  const auto is_number = [](const Json& item) { return item.is_number(); };
  if (value.size() > 4 || !std::all_of(value.begin(), value.end(), is_number))
    return text_of("a list of ", value.size());
  return value.dump();
}

}  // namespace

Fields::Fields(const Json& object, std::filesystem::path file, std::string where)
    : object_(&object), file_(std::move(file)), where_(std::move(where)) {
  if (object.is_object()) return;
  const std::string place = where_.empty() ? "" : in_quotes(where_) + " ";
  throw DataError(file_, place + "is " + shown(object) + ", expected an object");
}

std::string Fields::path_of(std::string_view key) const {
  return where_.empty() ? std::string(key) : where_ + '.' + std::string(key);
}

const Json* Fields::find(std::string_view key) const {
  const auto found = object_->find(key);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

const Json& Fields::required(std::string_view key, std::string_view expected) {
  if (const Json* value = optional(key)) return *value;
  throw DataError(file_, text_of(in_quotes(path_of(key)), has_null(key) ? " is null" : " is missing",
                                 ", expected ", expected));
}

const Json* Fields::optional(std::string_view key) {
  seen_.emplace(key);
  return find(key);
}

bool Fields::has_null(std::string_view key) const { return object_->contains(key) && !find(key); }

void Fields::refuse(std::string_view key, std::string_view expected) const {
  const auto found = object_->find(key);
  const std::string now = found == object_->end() ? "missing" : shown(*found);
  throw DataError(file_, text_of(in_quotes(path_of(key)), " is ", now, ", expected ", expected));
}

void Fields::unsupported(std::string_view key, std::string_view supported) const {
  const auto found = object_->find(key);
  const std::string now = found == object_->end() ? "missing" : shown(*found);
  throw Unsupported(file_, text_of(in_quotes(path_of(key)), " is ", now, ", supported is ", supported));
}

bool Fields::has(std::string_view key) const { return find(key) != nullptr; }

int64_t Fields::integer(std::string_view key, int64_t least, int64_t most) {
  const std::string expected = text_of("an integer from ", least, " to ", most);
  const Json& value = required(key, expected);
  // Above 2^63 the number is unsigned and would wrap.
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() || value.get<uint64_t>() <= uint64_t{INT64_MAX});
  if (!fits || value.get<int64_t>() < least || value.get<int64_t>() > most) refuse(key, expected);
  return value.get<int64_t>();
}

double Fields::number(std::string_view key) {
  const Json& value = required(key, "a number");
  if (!value.is_number()) refuse(key, "a number");
  return value.get<double>();
}

bool Fields::boolean(std::string_view key) {
  const Json& value = required(key, "true or false");
  if (!value.is_boolean()) refuse(key, "true or false");
  return value.get<bool>();
}

std::string Fields::string(std::string_view key) {
  const Json& value = required(key, "a string");
  if (!value.is_string()) refuse(key, "a string");
  return value.get<std::string>();
}

std::vector<double> Fields::numbers(std::string_view key, std::size_t count) {
  const std::string expected = text_of("a list of ", count, count == 1 ? " number" : " numbers");
  const Json& value = required(key, expected);
  const auto is_number = [](const Json& item) { return item.is_number(); };
  if (!value.is_array() || value.size() != count || !std::all_of(value.begin(), value.end(), is_number))
    refuse(key, expected);
  return value.get<std::vector<double>>();
}

const Json& Fields::value(std::string_view key) { return required(key, "a value"); }

Fields Fields::object(std::string_view key) {
  const Json& value = required(key, "an object");
  return Fields(value, file_, path_of(key));
}

int64_t Fields::integer_or(std::string_view key, int64_t otherwise, int64_t least, int64_t most) {
  return optional(key) ? integer(key, least, most) : otherwise;
}

double Fields::number_or(std::string_view key, double otherwise) {
  return optional(key) ? number(key) : otherwise;
}

bool Fields::boolean_or(std::string_view key, bool otherwise) {
  return optional(key) ? boolean(key) : otherwise;
}

std::string Fields::string_or(std::string_view key, std::string otherwise) {
  return optional(key) ? string(key) : std::move(otherwise);
}

void Fields::ignore(std::initializer_list<std::string_view> keys) {
  for (const auto key : keys) seen_.emplace(key);
}

void Fields::only(std::string_view key, const Json& value) {
  const Json* found = optional(key);
  if (found && *found != value) unsupported(key, "only " + shown(value));
}

void Fields::finish() const {
  std::string unread;
  for (const auto& [key, value] : object_->items())
    if (!value.is_null() && !seen_.contains(key))
      unread += text_of(unread.empty() ? "" : ", ", in_quotes(path_of(key)), " (", shown(value), ")");
  if (!unread.empty()) throw Unsupported(file_, "unknown fields, each could change the result: " + unread);
}

}  // namespace unisim
