{{/* Names, labels, images, the Secret. */}}

{{- define "portcullis.name" -}}
{{- $name := .Values.fullnameOverride | default .Release.Name -}}
{{- if not (or .Values.fullnameOverride (contains "portcullis" $name)) -}}
{{- $name = printf "%s-portcullis" $name -}}
{{- end -}}
{{- /* The name of a Service has no dot. */ -}}
{{- $name | replace "." "-" | trunc 50 | trimAll "-" -}}
{{- end -}}

{{- define "portcullis.labels" -}}
app.kubernetes.io/name: portcullis
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The image with this name: include "portcullis.image" (list . "portcullis-server") */}}
{{- define "portcullis.image" -}}
{{- $root := index . 0 -}}
{{- printf "%s/%s:%s" $root.Values.image.registry (index . 1) ($root.Values.image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}

{{/* The Secret with the variables; empty if there are none. */}}
{{- define "portcullis.secret" -}}
{{- if and .Values.credentials.existingSecret .Values.credentials.values -}}
{{- fail "credentials: existingSecret and values are both set; keep one of them" -}}
{{- else if .Values.credentials.values -}}
{{- printf "%s-credentials" (include "portcullis.name" .) -}}
{{- else -}}
{{- .Values.credentials.existingSecret -}}
{{- end -}}
{{- end -}}

{{/* The names of the variables, as JSON. */}}
{{- define "portcullis.variables" -}}
{{- if .Values.credentials.values -}}
{{- keys .Values.credentials.values | sortAlpha | toJson -}}
{{- else if .Values.credentials.existingSecret -}}
{{- .Values.credentials.variables | toJson -}}
{{- else -}}
[]
{{- end -}}
{{- end -}}

{{/* The variables of a container, as JSON. */}}
{{- define "portcullis.env" -}}
{{- $secret := include "portcullis.secret" . -}}
{{- $env := list -}}
{{- range include "portcullis.variables" . | fromJsonArray -}}
{{- $env = append $env (dict "name" . "valueFrom" (dict "secretKeyRef" (dict "name" $secret "key" .))) -}}
{{- end -}}
{{- $env | toJson -}}
{{- end -}}
