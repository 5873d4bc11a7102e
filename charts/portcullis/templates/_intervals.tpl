{{/* The intervals between fetches, for the alerts. */}}

{{/* A duration of the configuration in seconds: 500ms, 30s, 10m, 24h, 30d. */}}
{{- define "portcullis.seconds" -}}
{{- $units := dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 "d" 86400.0 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- mulf (trimSuffix $unit . | float64) (get $units $unit) -}}
{{- end -}}

{{/* One record for each list, as JSON: 60 times abs_attack_request_minutes, and `interval` of each feed or its default. */}}
{{- define "portcullis.intervals" -}}
{{- $config := .Values.config | default dict -}}
{{- $defaults := dict "crowdsec" "1m" "abs" "10m" "text" "1h" "tokens" "1h" -}}
{{- $minutes := coalesce $config.abs_attack_request_minutes $config.abs_attack_request_minute 10 -}}
{{- $records := list (dict "source" "abs" "seconds" (mulf (float64 $minutes) 60.0)) -}}
{{- range $config.feeds -}}
{{- $seconds := include "portcullis.seconds" (.interval | default (get $defaults .format)) -}}
{{- $records = append $records (dict "source" .name "seconds" (float64 $seconds)) -}}
{{- end -}}
{{- $rules := list -}}
{{- range $records -}}
{{- $rules = append $rules (dict "record" "portcullis:fetch_interval_seconds" "expr" (printf "vector(%v)" .seconds) "labels" (dict "source" .source)) -}}
{{- end -}}
{{- $rules | toJson -}}
{{- end -}}
