// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/s3/credentials.h"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string_view>

#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

using Section = std::map<std::string, std::string>;

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::filesystem::path file_named(const char* override_variable, const char* name) {
  const std::string named = variable(override_variable);
  if (!named.empty()) return named;
  return std::filesystem::path(variable("HOME")) / ".aws" / name;
}

/// The lines `name = value` under `[section]`; none where there is no such file or section.
Section read_section(const std::filesystem::path& file, const std::string& section) {
  Section found;
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) return found;
  const std::string text = read_text_file(file);
  bool inside = false;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = trimmed(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(std::min(rest.size(), rest.find('\n') == rest.npos ? rest.size() : rest.find('\n') + 1));
    if (line.empty() || line.starts_with('#') || line.starts_with(';')) continue;
    if (line.starts_with('[') && line.ends_with(']')) {
      inside = trimmed(line.substr(1, line.size() - 2)) == section;
      continue;
    }
    const std::size_t equals = line.find('=');
    if (inside && equals != line.npos)
      found[std::string(trimmed(line.substr(0, equals)))] = trimmed(line.substr(equals + 1));
  }
  return found;
}

std::string name_or_default(const std::string& profile) { return profile.empty() ? "default" : profile; }

}  // namespace

S3Credentials find_credentials(const std::string& profile) {
  S3Credentials credentials{variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"),
                            variable("AWS_SESSION_TOKEN")};
  if (!credentials.access_key.empty() && !credentials.secret_key.empty()) return credentials;
  const auto file = file_named("AWS_SHARED_CREDENTIALS_FILE", "credentials");
  Section section = read_section(file, name_or_default(profile));
  credentials = {section["aws_access_key_id"], section["aws_secret_access_key"], section["aws_session_token"]};
  if (!credentials.access_key.empty() && !credentials.secret_key.empty()) return credentials;
  throw Error(
      "there are no credentials for an object store: put aws_access_key_id and aws_secret_access_key under [{}] in {}, "
      "or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY where the program starts that needs them (a machine that "
      "runs "
      "has the environment in which it was started)",
      name_or_default(profile), file.string());
}

std::string region_of_profile(const std::string& profile) {
  const std::string name = name_or_default(profile);
  return read_section(file_named("AWS_CONFIG_FILE", "config"), name == "default" ? name : "profile " + name)["region"];
}

}  // namespace tintype
