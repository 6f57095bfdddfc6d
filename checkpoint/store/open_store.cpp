// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/s3/location.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/store/repository.h"
#include "vmm/base/error.h"

#ifdef TINTYPE_HAS_S3
#include "checkpoint/store/object_store.h"
#endif

namespace tintype {
namespace {

std::unique_ptr<CheckpointStore> object_store([[maybe_unused]] const std::string& name) {
#ifdef TINTYPE_HAS_S3
  return std::make_unique<ObjectStore>(S3Location::parse(name).completed());
#else
  throw Error("this tintype was built without object stores: install libcurl4-openssl-dev, and build it again");
#endif
}

}  // namespace

std::unique_ptr<CheckpointStore> open_store(const std::filesystem::path& name, std::shared_ptr<KnownManifests> known) {
  if (S3Location::is_meant_by(name.native())) return object_store(name.native());
  return std::make_unique<Repository>(Repository::open(name, std::move(known)));
}

void require_still_there(const std::filesystem::path& name) {
  if (S3Location::is_meant_by(name.native())) return;
  try {
    open_store(name)->require_repository();
  } catch (const Error&) {
    throw Error("the repository {} is not there any more: bring back the device that it lies on", name.string());
  }
}

bool store_would_hold(const std::filesystem::path& name, const std::filesystem::path& other) {
  if (S3Location::is_meant_by(name.native())) return object_store(name.native())->holds(other);
  return Repository::would_hold(name, other);
}

void check_store_place(const std::filesystem::path& name) {
  if (!S3Location::is_meant_by(name.native())) Repository::check_place(name);
}

std::unique_ptr<CheckpointStore> create_store(const std::filesystem::path& name,
                                              std::shared_ptr<KnownManifests> known) {
  if (S3Location::is_meant_by(name.native())) return object_store(name.native());
  return std::make_unique<Repository>(Repository::create(name, std::move(known)));
}

}  // namespace tintype
