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

  decltype(&::gnutls_init) init;
  decltype(&::gnutls_deinit) deinit;
  decltype(&::gnutls_strerror) strerror;
  decltype(&::gnutls_error_is_fatal) error_is_fatal;
  decltype(&::gnutls_memset) memset;
  decltype(&::gnutls_malloc) malloc;  ///< a variable: what it holds is to be called
  decltype(&::gnutls_priority_set_direct) priority_set_direct;
  decltype(&::gnutls_session_set_ptr) session_set_ptr;
  decltype(&::gnutls_session_get_ptr) session_get_ptr;
  decltype(&::gnutls_credentials_set) credentials_set;
  decltype(&::gnutls_psk_allocate_server_credentials) psk_allocate_server_credentials;
  decltype(&::gnutls_psk_allocate_client_credentials) psk_allocate_client_credentials;
  decltype(&::gnutls_psk_free_server_credentials) psk_free_server_credentials;
  decltype(&::gnutls_psk_free_client_credentials) psk_free_client_credentials;
  decltype(&::gnutls_psk_set_client_credentials) psk_set_client_credentials;
  decltype(&::gnutls_psk_set_server_credentials_function) psk_set_server_credentials_function;
  decltype(&::gnutls_transport_set_int2) transport_set_int2;
  decltype(&::gnutls_handshake) handshake;
  decltype(&::gnutls_record_get_direction) record_get_direction;
  decltype(&::gnutls_record_check_pending) record_check_pending;
  decltype(&::gnutls_record_send) record_send;
  decltype(&::gnutls_record_recv) record_recv;

 private:
  LateGnutls();

  const LateLibrary library_;
};

}  // namespace tintype
