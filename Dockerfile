# Debian 13 has OpenSSL 3.5, an LTS with the post-quantum group X25519MLKEM768; Debian 12's 3.0 lacks that group.
# A pipeline pins its digest: --build-arg BASE=debian:trixie-slim@sha256:...
ARG BASE=debian:trixie-slim
# The TLS library: openssl, or awslc for more handshakes from a core (docs/tls-library.md).
ARG TLS_LIBRARY=openssl

FROM ${BASE} AS build
ARG TLS_LIBRARY
COPY deploy/install-packages deploy/packages-build.txt deploy/awslc deploy/debian-mirror /source/deploy/
RUN /source/deploy/install-packages /source/deploy/packages-build.txt
RUN case "${TLS_LIBRARY}" in \
      openssl) ;; \
      awslc) /source/deploy/awslc /awslc ;; \
      *) echo "TLS_LIBRARY is openssl or awslc, not ${TLS_LIBRARY}" >&2; exit 1 ;; \
    esac
COPY CMakeLists.txt /source/
COPY cmake /source/cmake
COPY src /source/src
RUN library=$([ "${TLS_LIBRARY}" = openssl ] && echo openssl || echo /awslc) \
    && cmake -S /source -B /build -G Ninja -DHEADGATE_TESTS=OFF "-DHEADGATE_TLS_LIBRARY=$library" \
    && cmake --build /build --target headgate \
    && strip -o /headgate /build/headgate

FROM ${BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates lib25519-1 libcares2 libev4t64 libfmt10 \
       libmicrohttpd12t64 libprometheus-cpp-core1.0 libseccomp2 libspdlog1.15 libssl3t64 libsystemd0 libyaml-cpp0.8 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 headgate \
    && useradd --uid 65532 --gid 65532 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin headgate
COPY --from=build /headgate /usr/bin/headgate
# Arguments that differ from build to build come after the steps that they would make anew.
ARG BASE
ARG VERSION=0.2.0
ARG REVISION=
LABEL org.opencontainers.image.title="Headgate" \
      org.opencontainers.image.description="TLS-terminating proxy" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
USER 65532:65532
EXPOSE 8443 9464
STOPSIGNAL SIGTERM
# The image has no curl, so bash asks the admin port itself. Another `admin.bind` needs another --health-cmd.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/9464 && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["headgate"]
CMD ["run", "--config", "/etc/headgate/headgate.yaml"]
