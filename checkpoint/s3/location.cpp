// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/s3/location.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>

#include "checkpoint/s3/credentials.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

constexpr std::string_view kScheme = "s3://";

bool is_plain(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("-._~").find(c) != std::string_view::npos;
}

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ptr == text.data() + i + 3) {
      decoded += static_cast<char>(value);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

/// As S3 has it, and Swift.
bool is_bucket(std::string_view name) {
  return name.size() >= 3 && name.size() <= 63 && std::ranges::all_of(name, [](char c) { return is_plain(c); });
}

void take_query(std::string_view query, S3Location& location) {
  while (!query.empty()) {
    const std::string_view word = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), word.size() + 1));
    const std::size_t equals = std::min(word.find('='), word.size());
    const std::string_view name = word.substr(0, equals);
    const std::string value = percent_decoded(word.substr(std::min(word.size(), equals + 1)));
    if (name == "endpoint") {
      location.endpoint = value;
    } else if (name == "region") {
      location.region = value;
    } else if (name == "profile") {
      location.profile = value;
    } else {
      throw UsageError("behind s3://BUCKET/PREFIX may come ?endpoint=, region= and profile=, and not \"{}\"", name);
    }
  }
}

std::string first_of(std::initializer_list<const char*> variables) {
  for (const char* variable : variables) {
    const char* const value = std::getenv(variable);
    if (value != nullptr && *value != '\0') return value;
  }
  return {};
}

void check_endpoint(const std::string& endpoint) {
  if (!endpoint.starts_with("http://") && !endpoint.starts_with("https://"))
    throw UsageError("the endpoint of an object store is a URL, http://HOST:PORT or https://HOST, and not \"{}\"",
                     endpoint);
}

}  // namespace

S3Location S3Location::parse(std::string_view name) {
  if (!is_meant_by(name)) throw UsageError("\"{}\" does not begin with s3://", name);
  S3Location location;
  std::string_view rest = name.substr(kScheme.size());
  const std::size_t question = rest.find('?');
  if (question != std::string_view::npos) {
    take_query(rest.substr(question + 1), location);
    rest = rest.substr(0, question);
  }
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  location.bucket = rest.substr(0, slash);
  rest.remove_prefix(slash);
  while (rest.starts_with('/')) rest.remove_prefix(1);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  location.prefix = rest;
  if (!is_bucket(location.bucket))
    throw UsageError("\"{}\" cannot be the name of a bucket: give s3://BUCKET/PREFIX", location.bucket);
  const bool plain = std::ranges::all_of(rest, [](char c) { return is_plain(c) || c == '/'; });
  if (!plain || rest.find("//") != std::string_view::npos)
    throw UsageError("the prefix \"{}\" may hold letters, digits, -, ., _, ~ and single slashes only", rest);
  return location;
}

S3Location S3Location::completed() const {
  S3Location location = *this;
  if (location.profile.empty()) location.profile = first_of({"AWS_PROFILE"});
  if (location.region.empty()) location.region = first_of({"AWS_REGION", "AWS_DEFAULT_REGION"});
  if (location.region.empty()) location.region = region_of_profile(location.profile);
  if (location.region.empty()) location.region = "us-east-1";
  if (location.endpoint.empty()) location.endpoint = first_of({"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"});
  if (location.endpoint.empty()) location.endpoint = fmt::format("https://s3.{}.amazonaws.com", location.region);
  while (location.endpoint.ends_with('/')) location.endpoint.pop_back();
  check_endpoint(location.endpoint);
  return location;
}

std::string S3Location::name() const { return std::string(kScheme) + bucket + (prefix.empty() ? "" : "/" + prefix); }

std::string S3Location::text() const {
  std::string text = name();
  char separator = '?';
  const auto add = [&](const char* word, const std::string& value) {
    if (value.empty()) return;
    text += fmt::format("{}{}={}", separator, word, percent_encoded(value, true));
    separator = '&';
  };
  add("endpoint", endpoint);
  add("region", region);
  add("profile", profile);
  return text;
}

std::string S3Location::key(std::string_view name) const {
  return prefix.empty() ? std::string(name) : fmt::format("{}/{}", prefix, name);
}

std::string percent_encoded(std::string_view text, bool slash_kept) {
  std::string encoded;
  for (const char c : text) {
    if (is_plain(c) || (c == '/' && slash_kept))
      encoded += c;
    else
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

}  // namespace tintype
