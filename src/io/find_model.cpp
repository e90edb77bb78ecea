#include <pwd.h>
#include <unisim/error.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "file.h"
#include "quote.h"

namespace unisim {
namespace {

namespace fs = std::filesystem;

std::optional<fs::path> home_folder() {
  if (const char* home = std::getenv("HOME"); home && *home) return fs::path(home);
  std::array<char, 16384> buffer{};
  struct passwd entry {};
  struct passwd* found = nullptr;
  if (::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found)
    return std::nullopt;
  return fs::path(found->pw_dir);
}

/// The folder that an environment variable names; unset and empty are the same, "~/" is the home folder.
std::optional<fs::path> folder_from(const char* variable) {
  const char* text = std::getenv(variable);
  if (!text || !*text) return std::nullopt;
  const std::string_view value = text;
  const auto home = value.starts_with("~/") ? home_folder() : std::nullopt;
  return home ? *home / value.substr(2) : fs::path(value);
}

/// $XDG_CACHE_HOME, else ~/.cache. The specification has a relative value ignored.
std::optional<fs::path> user_cache_folder() {
  if (const auto given = folder_from("XDG_CACHE_HOME"); given && given->is_absolute()) return given;
  if (const auto home = home_folder()) return *home / ".cache";
  return std::nullopt;
}

/// The first that is set, as in huggingface_hub: its other places are not looked at.
std::optional<fs::path> hugging_face_cache() {
  if (const auto given = folder_from("HF_HUB_CACHE")) return given;
  if (const auto given = folder_from("HF_HOME")) return *given / "hub";
  if (const auto cache = user_cache_folder()) return *cache / "huggingface" / "hub";
  return std::nullopt;
}

struct Repository {
  std::string folder;  ///< "models--ORG--REPO"
  std::string revision = "main";
};

/// A part of a repository's name, or a revision: what the hub allows, which is also a safe file name.
bool is_plain(std::string_view part) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !part.empty() && part.size() <= 96 && part.front() != '.' && part.front() != '-' &&
         part.find("..") == std::string_view::npos && std::all_of(part.begin(), part.end(), allowed);
}

/// ORG/REPO, with "@REVISION" behind it or not; nothing if the text is not of that form.
std::optional<Repository> repository_of(std::string_view text) {
  Repository repository;
  if (const auto at = text.find('@'); at != std::string_view::npos) {
    repository.revision = text.substr(at + 1);
    text = text.substr(0, at);
  }
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view organisation = text.substr(0, slash), name = text.substr(slash + 1);
  if (!is_plain(organisation) || !is_plain(name) || !is_plain(repository.revision)) return std::nullopt;
  repository.folder = text_of("models--", organisation, "--", name);
  return repository;
}

/// The snapshot's folder; nothing where there is none, `looked_at` then says what was missing.
std::optional<fs::path> snapshot_of(const Repository& repository, std::vector<std::string>& looked_at) {
  const auto cache = hugging_face_cache();
  if (!cache) {
    looked_at.push_back("the Hugging Face cache (no HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME or HOME)");
    return std::nullopt;
  }
  const fs::path root = *cache / repository.folder;
  std::string commit = repository.revision;
  if (const fs::path ref = root / "refs" / repository.revision; fs::is_regular_file(ref)) {
    const auto bytes = read_file(ref, 256);
    commit.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    commit.erase(commit.find_last_not_of(" \r\n") + 1);
    require_data(is_plain(commit), ref, "is ", in_quotes(commit), ", expected the name of a commit");
  } else if (commit == "main") {
    looked_at.push_back(ref.string());
    return std::nullopt;
  }
  const fs::path snapshot = root / "snapshots" / commit;
  if (fs::is_directory(snapshot)) return snapshot;
  looked_at.push_back(snapshot.string());
  return std::nullopt;
}

[[noreturn]] void not_found(const std::string& name, const std::vector<std::string>& looked_at) {
  std::string places;
  for (const auto& place : looked_at) places += (places.empty() ? "" : ", ") + place;
  throw DataError(name, "no such model; looked at: " + places +
                            ". Models are installed by `unisim get`; nothing is downloaded here");
}

fs::path existing_folder(const std::string& path) {
  std::error_code absent;
  if (!fs::exists(path, absent)) not_found(path, {path});
  require_data(fs::is_directory(path), path, "is no folder, expected the folder of a model");
  return path;
}

}  // namespace

fs::path cache_folder() {
  if (const auto given = folder_from("UNISIM_CACHE")) return *given;
  if (const auto cache = user_cache_folder()) return *cache / "unisim";
  throw std::runtime_error("[cache_folder] none of UNISIM_CACHE, XDG_CACHE_HOME and HOME is set");
}

fs::path find_model(const std::string& path_or_name) {
  constexpr std::string_view local = "local-dir:", hub = "hf-hub:";
  require(!path_or_name.empty(), "[find_model] the name of the model is empty");
  require(path_or_name.find('\0') == std::string::npos,
          "[find_model] the name of the model has a NUL in it: ", in_quotes(path_or_name));
  if (path_or_name.starts_with(local)) return existing_folder(path_or_name.substr(local.size()));
  std::vector<std::string> looked_at;
  if (!path_or_name.starts_with(hub)) {
    std::error_code absent;
    if (fs::exists(path_or_name, absent)) return existing_folder(path_or_name);
    looked_at.push_back(path_or_name);
    if (is_plain(path_or_name)) {
      const fs::path installed = cache_folder() / "models" / path_or_name;
      if (fs::is_directory(installed)) return installed;
      looked_at.push_back(installed.string());
    }
  }
  const std::string_view name = path_or_name;
  const auto repository = repository_of(name.starts_with(hub) ? name.substr(hub.size()) : name);
  require_data(repository || !name.starts_with(hub), path_or_name, "expected hf-hub:ORG/REPO");
  if (repository)
    if (const auto snapshot = snapshot_of(*repository, looked_at)) return *snapshot;
  not_found(path_or_name, looked_at);
}

}  // namespace unisim
