# abs-simulator, sample-api or portcullis, statically linked by `make images`, so the image needs nothing else.
FROM scratch
ARG PROGRAM
COPY ${PROGRAM} /program
USER 65534:65534
ENTRYPOINT ["/program"]
