// SPDX-License-Identifier: Apache-2.0
#include "vmm/watch/late_microhttpd.h"

#include "vmm/base/late_names.h"

namespace tintype {

LateMicrohttpd::LateMicrohttpd() : library_(TINTYPE_MICROHTTPD) {
  library_.find("MHD_start_daemon", start_daemon);
  library_.find("MHD_stop_daemon", stop_daemon);
  library_.find("MHD_suspend_connection", suspend_connection);
  library_.find("MHD_resume_connection", resume_connection);
  library_.find("MHD_lookup_connection_value", lookup_connection_value);
  library_.find("MHD_create_response_from_buffer", create_response_from_buffer);
  library_.find("MHD_create_response_from_callback", create_response_from_callback);
  library_.find("MHD_add_response_header", add_response_header);
  library_.find("MHD_queue_response", queue_response);
  library_.find("MHD_destroy_response", destroy_response);
}

const LateMicrohttpd& LateMicrohttpd::get() {
  static const LateMicrohttpd microhttpd;
  return microhttpd;
}

}  // namespace tintype
