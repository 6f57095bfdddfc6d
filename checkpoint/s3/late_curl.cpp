// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/s3/late_curl.h"

#include "vmm/base/late_names.h"

namespace tintype {

LateCurl::LateCurl() : library_(TINTYPE_CURL) {
  library_.find("curl_easy_init", easy_init);
  library_.find("curl_easy_setopt", easy_setopt);
  library_.find("curl_easy_perform", easy_perform);
  library_.find("curl_easy_getinfo", easy_getinfo);
  library_.find("curl_easy_strerror", easy_strerror);
  library_.find("curl_easy_reset", easy_reset);
  library_.find("curl_easy_cleanup", easy_cleanup);
  library_.find("curl_slist_append", slist_append);
  library_.find("curl_slist_free_all", slist_free_all);
  library_.find("curl_getdate", getdate);
  decltype(&::curl_global_init) global_init = nullptr;
  library_.find("curl_global_init", global_init);
  global_init(CURL_GLOBAL_DEFAULT);
}

const LateCurl& LateCurl::get() {
  static const LateCurl curl;
  return curl;
}

}  // namespace tintype
