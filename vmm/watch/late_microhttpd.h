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

  decltype(&::MHD_start_daemon) start_daemon = nullptr;
  decltype(&::MHD_stop_daemon) stop_daemon = nullptr;
  decltype(&::MHD_suspend_connection) suspend_connection = nullptr;
  decltype(&::MHD_resume_connection) resume_connection = nullptr;
  decltype(&::MHD_lookup_connection_value) lookup_connection_value = nullptr;
  decltype(&::MHD_create_response_from_buffer) create_response_from_buffer = nullptr;
  decltype(&::MHD_create_response_from_callback) create_response_from_callback = nullptr;
  decltype(&::MHD_add_response_header) add_response_header = nullptr;
  decltype(&::MHD_queue_response) queue_response = nullptr;
  decltype(&::MHD_destroy_response) destroy_response = nullptr;

 private:
  LateMicrohttpd();

  const LateLibrary library_;
};

}  // namespace tintype
