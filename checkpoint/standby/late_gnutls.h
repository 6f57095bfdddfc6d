// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gnutls/gnutls.h>

#include "vmm/base/late_library.h"

namespace tintype {

/// GnuTLS, loaded when it is first wanted (vmm/base/late_library.h): its functions, without the "gnutls_" of their
/// names.
class LateGnutls {
 public:
  /// Throws tintype::Error where there is no GnuTLS.
  static const LateGnutls& get();

  decltype(&::gnutls_init) init = nullptr;
  decltype(&::gnutls_deinit) deinit = nullptr;
  decltype(&::gnutls_strerror) strerror = nullptr;
  decltype(&::gnutls_error_is_fatal) error_is_fatal = nullptr;
  decltype(&::gnutls_memset) memset = nullptr;
  decltype(&::gnutls_malloc) malloc = nullptr;  ///< a variable: what it holds is to be called
  decltype(&::gnutls_priority_set_direct) priority_set_direct = nullptr;
  decltype(&::gnutls_session_set_ptr) session_set_ptr = nullptr;
  decltype(&::gnutls_session_get_ptr) session_get_ptr = nullptr;
  decltype(&::gnutls_credentials_set) credentials_set = nullptr;
  decltype(&::gnutls_psk_allocate_server_credentials) psk_allocate_server_credentials = nullptr;
  decltype(&::gnutls_psk_allocate_client_credentials) psk_allocate_client_credentials = nullptr;
  decltype(&::gnutls_psk_free_server_credentials) psk_free_server_credentials = nullptr;
  decltype(&::gnutls_psk_free_client_credentials) psk_free_client_credentials = nullptr;
  decltype(&::gnutls_psk_set_client_credentials) psk_set_client_credentials = nullptr;
  decltype(&::gnutls_psk_set_server_credentials_function) psk_set_server_credentials_function = nullptr;
  decltype(&::gnutls_transport_set_ptr) transport_set_ptr = nullptr;
  decltype(&::gnutls_transport_set_push_function) transport_set_push_function = nullptr;
  decltype(&::gnutls_transport_set_pull_function) transport_set_pull_function = nullptr;
  decltype(&::gnutls_transport_set_pull_timeout_function) transport_set_pull_timeout_function = nullptr;
  decltype(&::gnutls_handshake) handshake = nullptr;
  decltype(&::gnutls_record_check_pending) record_check_pending = nullptr;
  decltype(&::gnutls_record_send) record_send = nullptr;
  decltype(&::gnutls_record_recv) record_recv = nullptr;

 private:
  LateGnutls();

  const LateLibrary library_;
};

}  // namespace tintype
