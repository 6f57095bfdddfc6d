// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/s3/location.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "checkpoint/s3/credentials.h"
#include "tests/unit/format/scratch.h"
#include "vmm/base/error.h"

using namespace tintype;
using tintype::checkpoint_test::ScratchDirectory;

namespace {

/// Of the environment, until the end of the test.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    const char* const before = std::getenv(name);
    had_ = before != nullptr;
    if (had_) before_ = before;
    if (value.empty())
      ::unsetenv(name);
    else
      ::setenv(name, value.c_str(), 1);
  }
  ~Variable() {
    if (had_)
      ::setenv(name_, before_.c_str(), 1);
    else
      ::unsetenv(name_);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  bool had_ = false;
  std::string before_;
};

}  // namespace

TEST_CASE("a location is read, and written as it is read") {
  const S3Location plain = S3Location::parse("s3://bucket/some/film/");
  CHECK(plain.bucket == "bucket");
  CHECK(plain.prefix == "some/film");
  CHECK(plain.name() == "s3://bucket/some/film");
  CHECK(plain.key("00000001.checkpoint") == "some/film/00000001.checkpoint");
  CHECK(S3Location::parse("s3://bucket").key("x") == "x");
  const S3Location whole =
      S3Location::parse("s3://bucket/film?endpoint=http://127.0.0.1:9000&region=eu-1&profile=a%26b");
  CHECK(whole.endpoint == "http://127.0.0.1:9000");
  CHECK(whole.profile == "a&b");
  CHECK(S3Location::parse(whole.text()) == whole);
  CHECK(whole.name() == "s3://bucket/film");
}

TEST_CASE("what cannot be a location is refused") {
  for (const char* name : {"s3://", "s3://a/b", "s3://bucket/a//b", "s3://bucket/a=b", "s3://bucket/a b",
                           "s3://bucket/x?secret=y", "s3://bu cket/x", "/tmp/x"})
    CHECK_THROWS_AS(S3Location::parse(name), UsageError);
  CHECK_THROWS_AS(S3Location::parse("s3://bucket/x?endpoint=ftp://h").completed(), UsageError);
}

TEST_CASE("the environment says what the location does not") {
  const ScratchDirectory scratch;
  const Variable endpoint("AWS_ENDPOINT_URL", "http://store:1/"), special("AWS_ENDPOINT_URL_S3", ""),
      region("AWS_REGION", ""), other_region("AWS_DEFAULT_REGION", ""), profile("AWS_PROFILE", "second"),
      config("AWS_CONFIG_FILE", (scratch.path() / "config").string());
  std::ofstream(scratch.path() / "config") << "[default]\nregion = first\n[profile second]\n  region=here  \n";
  const S3Location found = S3Location::parse("s3://bucket/x").completed();
  CHECK(found.endpoint == "http://store:1");
  CHECK(found.region == "here");
  CHECK(found.profile == "second");
  CHECK(S3Location::parse("s3://bucket/x?endpoint=http://b:2&region=r").completed().endpoint == "http://b:2");
}

TEST_CASE("credentials come from the environment, else from the profile, and their lack is said") {
  const ScratchDirectory scratch;
  const std::string file = (scratch.path() / "credentials").string();
  const Variable at("AWS_SHARED_CREDENTIALS_FILE", file);
  std::ofstream(file) << "# comment\n[default]\naws_access_key_id = d\naws_secret_access_key = ds\n\n"
                         "[work]\r\naws_access_key_id=w=1\r\naws_secret_access_key=ws\r\naws_session_token = t\r\n";
  {
    const Variable key("AWS_ACCESS_KEY_ID", "e:1"), secret("AWS_SECRET_ACCESS_KEY", "es");
    CHECK(find_credentials("work").access_key == "e:1");
  }
  const Variable key("AWS_ACCESS_KEY_ID", ""), secret("AWS_SECRET_ACCESS_KEY", ""), token("AWS_SESSION_TOKEN", "");
  CHECK(find_credentials("").secret_key == "ds");
  CHECK(find_credentials("work").access_key == "w=1");
  CHECK(find_credentials("work").session_token == "t");
  CHECK_THROWS_WITH_AS(find_credentials("none"), doctest::Contains("[none]"), Error);
}
