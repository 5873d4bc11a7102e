# The official Envoy image with the module in it. The module's image has no program that could copy the module into a
# volume, and a volume would keep an old module: so it is copied here, and a new image of either makes a new one of this.
ARG MODULE_IMAGE=portcullis:0.1.0
ARG ENVOY_IMAGE=envoyproxy/envoy:distroless-v1.40.0
FROM ${MODULE_IMAGE} AS module
FROM ${ENVOY_IMAGE}
COPY --from=module /plugin.wasm /opt/portcullis/portcullis.wasm
