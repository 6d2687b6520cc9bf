#include "tls/library/tickets.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "base/out_of_memory.h"
#include "tls/handshake/server_context.h"
#include "tls/handshake/session_binding.h"
#include "tls/octets.h"

namespace headgate {
namespace {

std::optional<SessionBinding> binding_of(SSL_SESSION* session) {
  void* data = nullptr;
  std::size_t size = 0;
  if (session == nullptr || SSL_SESSION_get0_ticket_appdata(session, &data, &size) != 1) return std::nullopt;
  return SessionBinding::decode({static_cast<const std::byte*>(data), size});
}

int ticket_key(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
               int encrypt) {
  ServerContext& context = ServerContext::of(ssl);
  const WallTime now = std::chrono::system_clock::now();
  const TicketKey* key = encrypt == 1
                             ? context.ticket_keys().issuing(now)
                             : context.ticket_keys().find(std::span<const unsigned char, 16>(name, 16), now);
  if (key == nullptr) return 0;  // do without a ticket, or without this one
  if (encrypt == 1) {
    std::copy(key->name.begin(), key->name.end(), name);
    if (!context.library().random({iv, 16})) return -1;
  }
  char digest[] = "SHA2-256";
  auto* mac_key = const_cast<unsigned char*>(key->mac.data());
  const std::array<OSSL_PARAM, 3> parameters{
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, mac_key, 32),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
  if (EVP_MAC_CTX_set_params(mac, parameters.data()) != 1) return -1;
  const EVP_CIPHER* aes = context.library().aes_256_cbc();
  return EVP_CipherInit_ex(cipher, aes, nullptr, key->aes.data(), iv, encrypt) == 1 ? 1 : -1;
}

int generate_ticket(SSL* ssl, void*) {
  ServerContext& context = ServerContext::of(ssl);
  const auto binding = context.binding_for(ssl, std::chrono::system_clock::now()).encode();
  if (SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), binding.data(), binding.size()) != 1) return 0;
  context.count(TicketEvent::kIssued);
  return 1;
}

/// A refused ticket costs a full handshake, in which the peer is evaluated anew.
SSL_TICKET_RETURN decrypt_ticket(SSL* ssl, SSL_SESSION* session, const unsigned char*, std::size_t,
                                 SSL_TICKET_STATUS status, void*) {
  ServerContext& context = ServerContext::of(ssl);
  if (status == SSL_TICKET_NO_DECRYPT) context.count(TicketEvent::kUnknownKey);
  if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  if (!context.may_resume(ssl, session, binding_of(session))) return SSL_TICKET_RETURN_IGNORE_RENEW;
  // A TLS 1.3 client uses a ticket once (RFC 8446, appendix C.4), so the server gives it another one.
  const bool renew = status == SSL_TICKET_SUCCESS_RENEW || SSL_version(ssl) == TLS1_3_VERSION;
  return renew ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}

}  // namespace

void use_tickets(SSL_CTX* context) {
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, callable_from_c<ticket_key, -1>);
  SSL_CTX_set_session_ticket_cb(context, callable_from_c<generate_ticket, 0>,
                                callable_from_c<decrypt_ticket, SSL_TICKET_RETURN_IGNORE_RENEW>, nullptr);
}

bool set_ticket_count(SSL_CTX* context, std::size_t count) {
  return SSL_CTX_set_num_tickets(context, count) == 1;
}

// The number is one of TLS 1.3 alone, and cannot fail to be zero.
void send_no_tickets(SSL* ssl) {
  SSL_set_num_tickets(ssl, 0);
}

void write_tickets(SSL* ssl, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) SSL_new_session_ticket(ssl);
}

std::vector<std::byte> encode_session(SSL_SESSION* session, Octets key, Octets app_data) {
  if (SSL_SESSION_set1_ticket_appdata(session, app_data.data(), app_data.size()) != 1 ||
      SSL_SESSION_set1_master_key(session, as_octets(key.data()), key.size()) != 1)
    return {};
  const int size = i2d_SSL_SESSION(session, nullptr);
  if (size <= 0) return {};
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  unsigned char* end = as_octets(bytes.data());
  if (i2d_SSL_SESSION(session, &end) != size) bytes.clear();
  return bytes;
}

}  // namespace headgate
