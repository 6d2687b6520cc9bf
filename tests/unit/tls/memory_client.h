#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "tls/library/openssl_types.h"
#include "unit/tls/test_pki.h"

namespace headgate::test {

/// The offers of a MemoryClient.
struct MemoryClientOptions {
  std::uint16_t max_version = 0;        ///< 0: OpenSSL's own.
  std::string groups{};                 ///< Empty: OpenSSL's own.
  const Issued* certificate = nullptr;  ///< To be shown to a server that asks.
  SSL_SESSION* session = nullptr;       ///< To be resumed.
};

/// An OpenSSL client between memory BIOs, so that a test decides which bytes travel and when.
class MemoryClient {
 public:
  explicit MemoryClient(const MemoryClientOptions& options = {})
      : context_(SSL_CTX_new(TLS_client_method())) {
    if (options.max_version != 0) SSL_CTX_set_max_proto_version(context_.get(), options.max_version);
    if (!options.groups.empty())
      HG_CHECK(SSL_CTX_set1_groups_list(context_.get(), options.groups.c_str()) == 1);
    if (options.certificate != nullptr) {
      HG_CHECK(SSL_CTX_use_certificate(context_.get(), options.certificate->certificate.get()) == 1);
      HG_CHECK(SSL_CTX_use_PrivateKey(context_.get(), options.certificate->key.get()) == 1);
    }
    SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context_.get(), keep_session);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_app_data(ssl_.get(), this);
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(ssl_.get()), -1);
    SSL_set_tlsext_host_name(ssl_.get(), "www.example.com");
    if (options.session != nullptr) SSL_set_session(ssl_.get(), options.session);
    SSL_set_connect_state(ssl_.get());
  }
  MemoryClient(const MemoryClient&) = delete;
  MemoryClient& operator=(const MemoryClient&) = delete;

  /// Goes as far as it can. The bytes that it writes wait for take().
  void step() {
    ERR_clear_error();
    done_ = SSL_do_handshake(ssl_.get()) == 1;
  }
  [[nodiscard]] bool is_done() const { return done_; }
  [[nodiscard]] std::vector<std::byte> take() {
    std::vector<std::byte> bytes(BIO_ctrl_pending(SSL_get_wbio(ssl_.get())));
    if (!bytes.empty()) BIO_read(SSL_get_wbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  }
  void give(std::span<const std::byte> bytes) {
    BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()));
  }
  void write(const std::string& text) {
    HG_CHECK(SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) > 0);
  }
  /// Returns the plaintext that has arrived.
  [[nodiscard]] std::string read() {
    std::string text(16384, '\0');
    ERR_clear_error();
    const int size = SSL_read(ssl_.get(), text.data(), static_cast<int>(text.size()));
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }
  /// Reads what has arrived and returns the newest session that it may resume; nullptr: none.
  [[nodiscard]] SessionPtr take_session() {
    static_cast<void>(read());
    return std::move(session_);
  }
  [[nodiscard]] SSL* ssl() const { return ssl_.get(); }

 private:
  static int keep_session(SSL* ssl, SSL_SESSION* session) {
    static_cast<MemoryClient*>(SSL_get_app_data(ssl))->session_.reset(session);
    return 1;
  }

  SslCtxPtr context_;
  SslPtr ssl_;
  SessionPtr session_;
  bool done_ = false;
};

}  // namespace headgate::test
