# Both stages are Debian 12: a binary linked against a newer glibc would not start in the final image.
FROM rust:1.95-bookworm AS chef
RUN cargo install cargo-chef --locked
WORKDIR /build

FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

# Dependencies get a layer of their own: it is built again only when Cargo.toml or Cargo.lock changes.
FROM chef AS build
COPY --from=plan /build/recipe.json recipe.json
RUN cargo chef cook --release --locked --recipe-path recipe.json
COPY . .
RUN cargo build --release --locked --bin okta-telephony-hook

# glibc, certificate authorities and a user 65532; no shell and no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/release/okta-telephony-hook /usr/local/bin/okta-telephony-hook
# config/local.toml is looked for here, by `serve` and by `healthcheck` alike: mount it at /app/config/local.toml.
WORKDIR /app
# A port published by the engine does not reach a listener on loopback. The admin listener stays there.
ENV OKTA_HOOK__SERVER__LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=3s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/okta-telephony-hook", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/okta-telephony-hook"]
CMD ["serve"]
