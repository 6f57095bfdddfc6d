// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/object_folder.h"

#include <algorithm>
#include <span>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/format/part_format.h"
#include "checkpoint/store/object_names.h"
#include "vmm/base/overflow.h"

namespace tintype {
namespace {

/// What is in memory already.
class TextSource final : public ByteSource {
 public:
  TextSource(std::string name, std::string text) : name_(std::move(name)), text_(std::move(text)) {}
  const std::string& name() const noexcept override { return name_; }
  std::uint64_t size() const noexcept override { return text_.size(); }
  void read(std::uint64_t offset, std::span<std::byte> into) const override {
    if (!range_fits<std::uint64_t>(offset, into.size(), text_.size())) throw ImageError("{} ends too early", name_);
    std::ranges::copy(std::as_bytes(std::span(text_)).subspan(offset, into.size()), into.begin());
  }

 private:
  const std::string name_, text_;
};

}  // namespace

ObjectFolder::ObjectFolder(std::shared_ptr<S3Client> client, std::shared_ptr<PieceCache> cache, std::string token,
                           std::string manifest)
    : client_(std::move(client)), cache_(std::move(cache)), token_(std::move(token)), manifest_(std::move(manifest)) {}

std::string ObjectFolder::path_of(const std::string& file) const {
  return client_->location().name() + "/" + object_names::folder(token_) + file;
}

std::unique_ptr<ByteSource> ObjectFolder::open(const std::string& file) const {
  if (file == checkpoint_files::kManifest) return std::make_unique<TextSource>(path_of(file), manifest_);
  return std::make_unique<ObjectSource>(cache_, object_names::folder(token_) + file, path_of(file));
}

std::map<std::string, std::uint64_t> ObjectFolder::files() const {
  std::map<std::string, std::uint64_t> files{{checkpoint_files::kManifest, manifest_.size()}};
  const std::string folder = object_names::folder(token_);
  for (const S3Client::Object& object : client_->list(folder, true).objects)
    if (object.name.size() > folder.size()) files[object.name.substr(folder.size())] = object.bytes;
  return files;
}

}  // namespace tintype
