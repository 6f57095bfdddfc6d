// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/object_names.h"

#include <algorithm>

#include "checkpoint/store/repository_names.h"

namespace tintype::object_names {
namespace {

constexpr std::size_t kTokenDigits = 32;

}  // namespace

std::string with_id(std::uint64_t id, std::string_view kind) {
  return repository_names::id_name(id) + std::string(kind);
}

std::string_view kind_of(Check which) {
  return std::ranges::find(kRemarkKinds, which, &std::pair<Check, std::string_view>::first)->second;
}

std::optional<std::uint64_t> id_of(std::string_view name, std::string_view kind) {
  if (!name.ends_with(kind)) return std::nullopt;
  return repository_names::id_of(name.substr(0, name.size() - kind.size()));
}

bool is_token(std::string_view text) {
  return text.size() == kTokenDigits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

std::optional<std::string> token_of(std::string_view name, std::string_view beginning) {
  if (!name.starts_with(beginning) || !is_token(name.substr(beginning.size()))) return std::nullopt;
  return std::string(name.substr(beginning.size()));
}

std::string folder(const std::string& token) { return std::string(kDataFolder) + token + "/"; }

std::string encode(const Seal& seal) { return seal.token + "\n" + seal.manifest; }

std::optional<Seal> decode(std::string_view text) {
  if (text.size() <= kTokenDigits || text[kTokenDigits] != '\n' || !is_token(text.substr(0, kTokenDigits)))
    return std::nullopt;
  return Seal{std::string(text.substr(0, kTokenDigits)), std::string(text.substr(kTokenDigits + 1))};
}

}  // namespace tintype::object_names
