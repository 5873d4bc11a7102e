# The native module with a program that copies it: the module's own image contains only libportcullis.so.
ARG MODULE_IMAGE=portcullis-native:0.2.0
FROM ${MODULE_IMAGE} AS module
FROM busybox:1.37.0-musl
COPY --from=module /libportcullis.so /libportcullis.so
