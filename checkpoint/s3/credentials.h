// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace tintype {

/// What requests are signed with. Never printed, never on a command line.
struct S3Credentials {
  std::string access_key, secret_key, session_token;
};

/// As the tools of AWS find them: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, else the profile
/// (empty: "default") in AWS_SHARED_CREDENTIALS_FILE, by default ~/.aws/credentials. Throws tintype::Error that says
/// where to put some.
S3Credentials find_credentials(const std::string& profile);

/// From AWS_CONFIG_FILE, by default ~/.aws/config; empty where that says nothing.
std::string region_of_profile(const std::string& profile);

}  // namespace tintype
