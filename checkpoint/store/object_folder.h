// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "checkpoint/s3/client.h"
#include "checkpoint/s3/object_source.h"
#include "checkpoint/store/checkpoint_folder.h"

namespace tintype {

/// The files of a checkpoint that lie in an object store. The manifest comes with the seal.
class ObjectFolder final : public CheckpointFolder {
 public:
  ObjectFolder(std::shared_ptr<S3Client> client, std::shared_ptr<PieceCache> cache, std::string token,
               std::string manifest);
  std::string path_of(const std::string& file) const override;
  std::unique_ptr<ByteSource> open(const std::string& file) const override;
  std::map<std::string, std::uint64_t> files() const override;

  const std::string& token() const noexcept { return token_; }
  const std::string& manifest() const noexcept { return manifest_; }

 private:
  const std::shared_ptr<S3Client> client_;
  const std::shared_ptr<PieceCache> cache_;
  const std::string token_, manifest_;
};

}  // namespace tintype
