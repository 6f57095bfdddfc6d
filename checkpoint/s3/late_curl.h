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

  decltype(&::curl_easy_init) easy_init = nullptr;
  decltype(&::curl_easy_setopt) easy_setopt = nullptr;
  decltype(&::curl_easy_perform) easy_perform = nullptr;
  decltype(&::curl_easy_getinfo) easy_getinfo = nullptr;
  decltype(&::curl_easy_strerror) easy_strerror = nullptr;
  decltype(&::curl_easy_reset) easy_reset = nullptr;
  decltype(&::curl_easy_cleanup) easy_cleanup = nullptr;
  decltype(&::curl_slist_append) slist_append = nullptr;
  decltype(&::curl_slist_free_all) slist_free_all = nullptr;
  decltype(&::curl_getdate) getdate = nullptr;

 private:
  LateCurl();

  const LateLibrary library_;
};

}  // namespace tintype
