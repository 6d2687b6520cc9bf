{{/* Headgate's container, as an item of a list: of `containers` in its own pods, of `initContainers` as a sidecar. */}}
{{- define "headgate.container" -}}
- name: headgate
  {{- if .Values.image.digest }}
  image: "{{ .Values.image.repository }}@{{ .Values.image.digest }}"
  {{- else }}
  image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
  {{- end }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  {{- if ne .Values.mode "deployment" }}
  restartPolicy: Always
  {{- end }}
  args: ["run", "--config", "/etc/headgate/config/headgate.yaml"]
  {{- with .Values.env }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    - name: headgate-tls
      containerPort: {{ int .Values.port }}
    - name: headgate-metric
      containerPort: {{ int .Values.metricsPort }}
  startupProbe:
    httpGet:
      path: /readyz
      port: {{ int .Values.metricsPort }}
    periodSeconds: 1
    failureThreshold: 30
  readinessProbe:
    httpGet:
      path: /readyz
      port: {{ int .Values.metricsPort }}
    periodSeconds: 5
  livenessProbe:
    httpGet:
      path: /healthz
      port: {{ int .Values.metricsPort }}
    periodSeconds: 10
  resources:
    {{- toYaml .Values.resources | nindent 4 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities:
      drop: ["ALL"]
    seccompProfile:
      type: RuntimeDefault
  volumeMounts:
    - name: headgate-config
      mountPath: /etc/headgate/config
      readOnly: true
    {{- with .Values.certificateSecret }}
    # The whole directory: a subPath never shows a renewed Secret.
    - name: headgate-certificate
      mountPath: /etc/headgate/certificate
      readOnly: true
    {{- end }}
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* The volumes that the container mounts, as items of a list. The pod needs an fsGroup, any one, to read the Secret. */}}
{{- define "headgate.volumes" -}}
- name: headgate-config
  configMap:
    name: {{ include "headgate.fullname" . }}
{{- with .Values.certificateSecret }}
- name: headgate-certificate
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
