# The service as one static program in an otherwise empty image:
#
#     docker build --tag discogsography/api .
#
# scripts/image assembles and tests the last stage without Docker.

FROM rust:1.95.0-bookworm AS build
ARG TARGETARCH
WORKDIR /src
COPY . .
# One target folder for each architecture: build scripts of different machines don't mix.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,id=discogsography-api-tools-$TARGETARCH,target=/usr/local/cargo/tools \
    --mount=type=cache,id=discogsography-api-$TARGETARCH,target=/src/target,sharing=locked \
    ops/image/build /image

FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Discogsography API" \
      org.opencontainers.image.description="Accounts, access tokens and the Discogs connection" \
      org.opencontainers.image.source="https://github.com/SimplicityGuy/discogsography" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /image /
# PATH, so that `docker exec … discogs-setup` finds the program.
ENV PATH=/usr/local/bin API_HOST=0.0.0.0 DATA_DIR=/data
USER 1000:1000
VOLUME /data
EXPOSE 8004 8005
# Longer than the command's own timeout of 5 s, so that its message is shown.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/discogsography-api", "health"]
ENTRYPOINT ["/usr/local/bin/discogsography-api"]
