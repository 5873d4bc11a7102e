{{/* The plugin configuration for a platform, and Envoy's clusters. */}}

{{/* Envoy's name of a cluster of the values: include "portcullis.clusterName" (list . NAME PATH) */}}
{{- define "portcullis.clusterName" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $cluster := get $root.Values.clusters $name -}}
{{- if and $cluster (eq $root.Values.platform "istio") -}}
{{- printf "outbound|%d||%s" (ternary 443 (int $cluster.port) (ne $cluster.tls false)) $cluster.host -}}
{{- else if or $cluster (and (eq $root.Values.platform "istio") (contains "|" $name)) -}}
{{- $name -}}
{{- else -}}
{{- fail (printf "config.%s names the cluster %q, which clusters does not have: add clusters.%s with host and port; there are: %s" (index . 2) $name $name (keys $root.Values.clusters | sortAlpha | join ", " | default "none")) -}}
{{- end -}}
{{- end -}}

{{/* Host and port of a cluster as in a URL. */}}
{{- define "portcullis.authority" -}}
{{- $usual := ternary 443 80 (ne .tls false) -}}
{{- if eq (int .port) $usual -}}
{{- .host -}}
{{- else -}}
{{- printf "%s:%d" .host (int .port) -}}
{{- end -}}
{{- end -}}

{{/* Gives a section of the configuration Envoy's name of its cluster, and the authority of its server, as JSON. */}}
{{- define "portcullis.section" -}}
{{- $root := index . 0 -}}
{{- $section := index . 1 -}}
{{- if and $section $section.cluster -}}
{{- $cluster := get $root.Values.clusters $section.cluster -}}
{{- if and $cluster (not $section.authority) -}}
{{- $section = set $section "authority" (include "portcullis.authority" $cluster) -}}
{{- end -}}
{{- $section = set $section "cluster" (include "portcullis.clusterName" (list $root $section.cluster (index . 2))) -}}
{{- end -}}
{{- $section | toJson -}}
{{- end -}}

{{/* Refuses a secret in a part of the values that becomes an object other than a Secret: include "portcullis.noSecrets" (list NAME VALUE) */}}
{{- define "portcullis.noSecrets" -}}
{{- with regexFind "\"(access_key|secret_key|ase_token)\":" (index . 1 | toJson) -}}
{{- fail (printf "%s has %s and would be readable in an object: put the secret into a Secret, and name it in credentials.existingSecret" (index $ 0) (trimSuffix ":" .)) -}}
{{- end -}}
{{- end -}}

{{/* The configuration as JSON. */}}
{{- define "portcullis.config" -}}
{{- $root := . -}}
{{- include "portcullis.noSecrets" (list "config" .Values.config) -}}
{{- $config := deepCopy (.Values.config | default dict) -}}
{{- range $name := list "abs" "traffic" -}}
{{- if get $config $name -}}
{{- $config = set $config $name (include "portcullis.section" (list $root (get $config $name) (printf "%s.cluster" $name)) | fromJson) -}}
{{- end -}}
{{- end -}}
{{- $feeds := list -}}
{{- $variables := include "portcullis.variables" . | fromJsonArray -}}
{{- range $index, $feed := $config.feeds -}}
{{- range $header, $value := $feed.headers -}}
{{- if kindIs "map" $value -}}
{{- $variable := $value.env | default $value.password_env -}}
{{- if and $variable (not (has $variable $variables)) -}}
{{- fail (printf "config.feeds[%d].headers.%s names the variable %q, which the filter does not get: add it to credentials.variables, and to the Secret that credentials.existingSecret names; there are: %s" $index $header $variable ($variables | join ", " | default "none")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $feeds = append $feeds (include "portcullis.section" (list $root $feed (printf "feeds[%d].cluster" $index)) | fromJson) -}}
{{- end -}}
{{- if $feeds -}}
{{- $config = set $config "feeds" $feeds -}}
{{- end -}}
{{- $config | toJson -}}
{{- end -}}

{{/* Envoy's clusters, as JSON. */}}
{{- define "portcullis.clusters" -}}
{{- $clusters := list -}}
{{- range $name, $it := .Values.clusters -}}
{{- $address := dict "socket_address" (dict "address" $it.host "port_value" (int $it.port)) -}}
{{- $endpoints := list (dict "lb_endpoints" (list (dict "endpoint" (dict "address" $address)))) -}}
{{- $cluster := dict "name" $name "connect_timeout" "2s" "type" "STRICT_DNS" "load_assignment" (dict "cluster_name" $name "endpoints" $endpoints) -}}
{{- if ne $it.tls false -}}
{{- $sni := $it.sni | default $it.host -}}
{{- $validation := dict "trusted_ca" (dict "filename" ($it.caFile | default "/etc/ssl/certs/ca-certificates.crt")) "match_typed_subject_alt_names" (list (dict "san_type" "DNS" "matcher" (dict "exact" $sni))) -}}
{{- $tls := dict "@type" "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext" "sni" $sni "common_tls_context" (dict "validation_context" $validation) -}}
{{- $cluster = set $cluster "transport_socket" (dict "name" "envoy.transport_sockets.tls" "typed_config" $tls) -}}
{{- end -}}
{{- $clusters = append $clusters $cluster -}}
{{- end -}}
{{- $clusters | toJson -}}
{{- end -}}

{{/* Envoy's file of the filter with a configuration: include "portcullis.filter" (list . CONFIG VARIABLES) */}}
{{- define "portcullis.filter" -}}
{{- $root := index . 0 -}}
{{- $filter := $root.Files.Get "files/filter.json" | fromJson -}}
{{- $config := (index $filter.resources 0).typed_config.config -}}
{{- $_ := set $config.configuration "value" (index . 1) -}}
{{- $_ := set $config.vm_config "environment_variables" (dict "host_env_keys" (index . 2)) -}}
{{- $filter | toPrettyJson -}}
{{- end -}}
