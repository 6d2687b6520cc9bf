{{/* The server to which connections go. */}}
{{- define "headgate.backend" -}}
{{- if .Values.backend -}}
{{ .Values.backend }}
{{- else if eq .Values.mode "deployment" -}}
{{ fail "mode deployment needs backend: the server to which connections go, such as app.default.svc.cluster.local:8080" }}
{{- else -}}
127.0.0.1:8080
{{- end -}}
{{- end -}}

{{- define "headgate.acceptSeconds" -}}
{{- if kindIs "invalid" .Values.acceptSeconds -}}
{{ eq .Values.mode "deployment" | ternary 10 0 }}
{{- else -}}
{{ .Values.acceptSeconds }}
{{- end -}}
{{- end -}}

{{/* Headgate's configuration file. */}}
{{- define "headgate.config" -}}
{{- if .Values.config -}}
{{ .Values.config }}
{{- else -}}
{{- $directory := "/etc/headgate/certificate" -}}
{{- $pair := dict "certificate" (printf "%s/tls.crt" $directory) "private_key" (printf "%s/tls.key" $directory) -}}
{{- $listener := dict
      "name" "web"
      "bind" (printf "%s:%d" .Values.bindAddress (int .Values.port))
      "tls" (dict "certificates" (list $pair))
      "backend" "app" -}}
{{- $app := dict "servers" (list (include "headgate.backend" .)) -}}
{{- $file := dict
      "log" (dict "format" "json")
      "admin" (dict "metrics_bind" (printf "%s:%d" .Values.bindAddress (int .Values.metricsPort)))
      "drain" (dict "accept_for" (printf "%ss" (include "headgate.acceptSeconds" .)) "deadline" (printf "%ds" (int .Values.drainSeconds))) -}}
{{- $file = mergeOverwrite $file (deepCopy .Values.options) -}}
{{- $_ := set $file "listeners" (list (mergeOverwrite $listener (deepCopy .Values.listenerOptions))) -}}
{{- $_ := set $file "backends" (dict "app" (mergeOverwrite $app (deepCopy .Values.backendOptions))) -}}
{{ toYaml $file }}
{{- end -}}
{{- end -}}
