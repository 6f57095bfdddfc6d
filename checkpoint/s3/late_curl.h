// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <curl/curl.h>

#include "vmm/base/late_library.h"

namespace tintype {

/// libcurl, loaded and started when it is first wanted (vmm/base/late_library.h): its functions, without the "curl_" of
/// their names.
class LateCurl {
 public:
  /// Throws tintype::Error where there is no libcurl.
  static const LateCurl& get();

  decltype(&::curl_easy_init) easy_init;
  decltype(&::curl_easy_setopt) easy_setopt;
  decltype(&::curl_easy_perform) easy_perform;
  decltype(&::curl_easy_getinfo) easy_getinfo;
  decltype(&::curl_easy_strerror) easy_strerror;
  decltype(&::curl_easy_reset) easy_reset;
  decltype(&::curl_easy_cleanup) easy_cleanup;
  decltype(&::curl_slist_append) slist_append;
  decltype(&::curl_slist_free_all) slist_free_all;
  decltype(&::curl_getdate) getdate;

 private:
  LateCurl();

  const LateLibrary library_;
};

}  // namespace tintype
