# abs-simulator, sample-api or portcullis, statically linked by `make images`, so the image needs nothing else.
#
# Any engine can build it: docker build --file examples/docker-compose/program.Dockerfile --build-arg PROGRAM=portcullis target/images
# Engines write the build time into the image. `make images` builds it reproducibly from this file: see wasm-target/image/pack.
FROM scratch
ARG PROGRAM
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="${PROGRAM}"
LABEL org.opencontainers.image.licenses="Apache-2.0"
LABEL org.opencontainers.image.version="${VERSION}"
LABEL org.opencontainers.image.revision="${REVISION}"
LABEL org.opencontainers.image.created="${CREATED}"
COPY ${PROGRAM} /program
USER 65534:65534
ENTRYPOINT ["/program"]
