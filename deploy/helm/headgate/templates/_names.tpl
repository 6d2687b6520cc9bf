{{/* The name of everything that the chart makes; shorter than Kubernetes allows, since one name ends in "-metrics". */}}
{{- define "headgate.fullname" -}}
{{- default (printf "%s-headgate" .Release.Name) .Values.fullnameOverride | trunc 54 | trimSuffix "-" -}}
{{- end -}}

{{/* The labels of the pods by which everything finds them. They never change. */}}
{{- define "headgate.selectorLabels" -}}
{{- if eq .Values.mode "included" -}}
{{- if not .Values.selectorLabels }}{{ fail "mode included needs selectorLabels: the labels of the pods that have Headgate in them" }}{{ end -}}
{{- toYaml .Values.selectorLabels -}}
{{- else -}}
app.kubernetes.io/name: headgate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
{{- end -}}

{{- define "headgate.labels" -}}
app.kubernetes.io/name: headgate
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "headgate.metadata" -}}
name: {{ include "headgate.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "headgate.labels" . | nindent 2 }}
{{- end -}}
