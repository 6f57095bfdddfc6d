// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <microhttpd.h>

#include "vmm/base/late_library.h"

namespace tintype {

/// libmicrohttpd, loaded when it is first wanted (vmm/base/late_library.h): its functions, without the "MHD_" of their
/// names.
class LateMicrohttpd {
 public:
  /// Throws tintype::Error where there is no libmicrohttpd.
  static const LateMicrohttpd& get();

  decltype(&::MHD_start_daemon) start_daemon;
  decltype(&::MHD_stop_daemon) stop_daemon;
  decltype(&::MHD_suspend_connection) suspend_connection;
  decltype(&::MHD_resume_connection) resume_connection;
  decltype(&::MHD_lookup_connection_value) lookup_connection_value;
  decltype(&::MHD_create_response_from_buffer) create_response_from_buffer;
  decltype(&::MHD_create_response_from_callback) create_response_from_callback;
  decltype(&::MHD_add_response_header) add_response_header;
  decltype(&::MHD_queue_response) queue_response;
  decltype(&::MHD_destroy_response) destroy_response;

 private:
  LateMicrohttpd();

  const LateLibrary library_;
};

}  // namespace tintype
