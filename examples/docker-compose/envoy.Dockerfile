# The official Envoy image with the module. It is copied here because the module's image has no program that could copy
# it into a volume, and because a volume would keep an old module.
ARG MODULE_IMAGE=registry.example.com/portcullis:0.2.0
ARG ENVOY_IMAGE=envoyproxy/envoy:distroless-v1.40.0
FROM ${MODULE_IMAGE} AS module
FROM ${ENVOY_IMAGE}
COPY --from=module /plugin.wasm /opt/portcullis/portcullis.wasm
