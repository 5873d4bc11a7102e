# The module with a program that copies it: the module's own image contains only plugin.wasm.
ARG MODULE_IMAGE=portcullis:0.2.0
FROM ${MODULE_IMAGE} AS module
FROM busybox:1.37.0-musl
COPY --from=module /plugin.wasm /plugin.wasm
