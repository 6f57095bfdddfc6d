// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "checkpoint/store/check_notes.h"

// The names of objects in a repository in an object store (checkpoint/FORMAT.md).
namespace tintype::object_names {

inline constexpr std::string_view kSealKind = ".checkpoint";    // "00000004.checkpoint": it is there, and whole
inline constexpr std::string_view kBaseKind = ".base";          // the same, deleted, but others build on it
inline constexpr std::string_view kLastIdKind = ".last-id";     // empty; this id was deleted, and none below it is free
inline constexpr std::string_view kVerifiedKind = ".verified";  // what came of verifying it
inline constexpr std::string_view kDrilledKind = ".drilled";    // and of a drill
inline constexpr std::string_view kBroughtKind = ".brought";    // and what it was brought for
inline constexpr std::string_view kWriterMark = "writer-";      // "writer-TOKEN": somebody writes to that folder
inline constexpr std::string_view kDeletedMark = "deleted-";    // "deleted-TOKEN": that folder is on its way out
inline constexpr std::string_view kDataFolder = "data/";        // "data/TOKEN/memory.part"

/// All remarks: what about, and the kind of their objects.
inline constexpr std::array kRemarkKinds{std::pair{Check::kVerified, kVerifiedKind},
                                         std::pair{Check::kDrilled, kDrilledKind},
                                         std::pair{Check::kBrought, kBroughtKind}};
std::string_view kind_of(Check which);

std::string with_id(std::uint64_t id, std::string_view kind);
/// The id in a name that with_id() has made of this kind.
std::optional<std::uint64_t> id_of(std::string_view name, std::string_view kind);
/// The token behind one of the beginnings.
std::optional<std::string> token_of(std::string_view name, std::string_view beginning);
bool is_token(std::string_view text);
/// "data/TOKEN/"
std::string folder(const std::string& token);

/// What a seal holds: the token of the folder where the data is, a line, and the manifest. A remark on a checkpoint
/// holds the same, with what is to be said in the manifest's place.
struct Seal {
  std::string token, manifest;
};
std::string encode(const Seal& seal);
/// Of untrusted text; nothing where it is none.
std::optional<Seal> decode(std::string_view text);

}  // namespace tintype::object_names
