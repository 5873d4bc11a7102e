# abs-simulator or sample-api, linked statically by `make images`: nothing else needs to be in the image.
FROM scratch
ARG PROGRAM
COPY ${PROGRAM} /program
USER 65534:65534
ENTRYPOINT ["/program"]
