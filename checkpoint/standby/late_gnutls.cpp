// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/standby/late_gnutls.h"

#include "vmm/base/late_names.h"

namespace tintype {

LateGnutls::LateGnutls() : library_(TINTYPE_GNUTLS) {
  library_.find("gnutls_init", init);
  library_.find("gnutls_deinit", deinit);
  library_.find("gnutls_strerror", strerror);
  library_.find("gnutls_error_is_fatal", error_is_fatal);
  library_.find("gnutls_memset", memset);
  library_.find("gnutls_malloc", malloc);
  library_.find("gnutls_priority_set_direct", priority_set_direct);
  library_.find("gnutls_session_set_ptr", session_set_ptr);
  library_.find("gnutls_session_get_ptr", session_get_ptr);
  library_.find("gnutls_credentials_set", credentials_set);
  library_.find("gnutls_psk_allocate_server_credentials", psk_allocate_server_credentials);
  library_.find("gnutls_psk_allocate_client_credentials", psk_allocate_client_credentials);
  library_.find("gnutls_psk_free_server_credentials", psk_free_server_credentials);
  library_.find("gnutls_psk_free_client_credentials", psk_free_client_credentials);
  library_.find("gnutls_psk_set_client_credentials", psk_set_client_credentials);
  library_.find("gnutls_psk_set_server_credentials_function", psk_set_server_credentials_function);
  library_.find("gnutls_transport_set_ptr", transport_set_ptr);
  library_.find("gnutls_transport_set_push_function", transport_set_push_function);
  library_.find("gnutls_transport_set_pull_function", transport_set_pull_function);
  library_.find("gnutls_transport_set_pull_timeout_function", transport_set_pull_timeout_function);
  library_.find("gnutls_handshake", handshake);
  library_.find("gnutls_record_check_pending", record_check_pending);
  library_.find("gnutls_record_send", record_send);
  library_.find("gnutls_record_recv", record_recv);
}

const LateGnutls& LateGnutls::get() {
  static const LateGnutls gnutls;
  return gnutls;
}

}  // namespace tintype
