# The TLS library is Debian's OpenSSL or the AWS-LC that deploy/awslc builds. src/tls/library has what Headgate asks of it,
# src/tls/openssl and src/tls/awslc the answers of each; one of these two folders is built, with its tests.
set(HEADGATE_TLS_LIBRARY openssl CACHE STRING "The TLS library: openssl, or the folder that deploy/awslc made")

if(HEADGATE_TLS_LIBRARY STREQUAL "openssl")
  find_package(OpenSSL 3.0 REQUIRED)
  target_link_libraries(headgate_openssl INTERFACE OpenSSL::SSL OpenSSL::Crypto Threads::Threads)
  # One of two files is built for certificate compression: one with OpenSSL's, one of tls/library without any.
  include(CheckCXXSymbolExists)
  set(CMAKE_REQUIRED_LIBRARIES OpenSSL::SSL OpenSSL::Crypto)
  check_cxx_symbol_exists(SSL_set1_compressed_cert openssl/ssl.h HEADGATE_OPENSSL_COMPRESSES_CERTIFICATES)
  unset(CMAKE_REQUIRED_LIBRARIES)
  if(HEADGATE_OPENSSL_COMPRESSES_CERTIFICATES)
    set(HEADGATE_TLS_WITHOUT awslc/ library/certificate_compression_none.cc)
  else()
    set(HEADGATE_TLS_WITHOUT awslc/ openssl/certificate_compression.cc)
  endif()
else()
  get_filename_component(HEADGATE_AWSLC ${HEADGATE_TLS_LIBRARY} ABSOLUTE BASE_DIR ${CMAKE_SOURCE_DIR})
  if(NOT EXISTS ${HEADGATE_AWSLC}/include/openssl/is_awslc.h)
    message(FATAL_ERROR "HEADGATE_TLS_LIBRARY is neither `openssl` nor a folder with AWS-LC: ${HEADGATE_AWSLC}. "
                        "deploy/awslc makes such a folder.")
  endif()
  target_include_directories(headgate_openssl SYSTEM INTERFACE ${HEADGATE_AWSLC}/include)
  target_link_libraries(headgate_openssl INTERFACE ${HEADGATE_AWSLC}/lib/libssl.a ${HEADGATE_AWSLC}/lib/libcrypto.a Threads::Threads)
  set(HEADGATE_TLS_WITHOUT openssl/)
endif()
