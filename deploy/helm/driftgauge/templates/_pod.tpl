{{/* What the pods of API and worker have in common; see deploy/kubernetes/base for the reasons. */}}

{{/* The head of a pod's spec: (list $ "api"). */}}
{{- define "driftgauge.pod" -}}
{{- $args := . -}}
{{- $ := index . 0 -}}
serviceAccountName: {{ include "driftgauge.name" $ }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "driftgauge.selector" $args | nindent 8 }}
  {{- end }}
{{- end -}}

{{/* Image, environment and rights of a container. */}}
{{- define "driftgauge.container" -}}
image: {{ include "driftgauge.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
envFrom:
  - configMapRef:
      name: {{ include "driftgauge.name" . }}
  - secretRef:
      name: {{ .Values.secrets.environment }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- define "driftgauge.mounts" -}}
- name: data
  mountPath: /var/lib/driftgauge/data
- name: keys
  mountPath: /etc/driftgauge
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- end -}}

{{- define "driftgauge.volumes" -}}
- name: keys
  secret:
    secretName: {{ .Values.secrets.keys }}
    defaultMode: 0440
- name: tmp
  emptyDir:
    sizeLimit: 4Gi
{{- end -}}
