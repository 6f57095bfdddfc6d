// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace tintype {

/// Where checkpoints lie in an object store: `s3://BUCKET/PREFIX`. What else is needed to find the store goes along as
/// `?endpoint=URL&region=WORD&profile=WORD`, so that a machine that runs elsewhere need not know it.
struct S3Location {
  std::string bucket, prefix;             ///< the prefix has no slash at its ends, and may be empty
  std::string endpoint, region, profile;  ///< empty: not said

  /// Whether a repository's name is meant to be one.
  static bool is_meant_by(std::string_view name) noexcept { return name.starts_with("s3://"); }
  /// Throws UsageError.
  static S3Location parse(std::string_view name);

  /// What is not said, as the tools of AWS find it: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION,
  /// AWS_DEFAULT_REGION, AWS_PROFILE, the profile's region in ~/.aws/config; else Amazon's own, in us-east-1.
  S3Location completed() const;

  /// As people name it: "s3://BUCKET/PREFIX".
  std::string name() const;
  /// All of it, as parse() takes it.
  std::string text() const;
  /// The name of an object, with the prefix in front.
  std::string key(std::string_view name) const;

  bool operator==(const S3Location&) const = default;
};

/// Percent signs for all that is not a letter, a digit or one of `-._~` (and `/`, where it is `kept`), as signatures
/// want it.
std::string percent_encoded(std::string_view text, bool slash_kept);

}  // namespace tintype
