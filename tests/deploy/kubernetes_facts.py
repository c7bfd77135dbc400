"""The parts of Kubernetes' API that our manifests use, as a JSON schema: anything else in them is a mistake until it
is added here. From the API reference of Kubernetes 1.30 (apps/v1, batch/v1, core/v1, networking.k8s.io/v1, policy/v1,
autoscaling/v2)."""

from typing import Any

_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_WORDS: dict[str, Any] = {"type": "array", "items": {"type": "string"}, "minItems": 1}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_NAME: dict[str, Any] = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
_HOST: dict[str, Any] = {"type": "string", "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"}
_PORT: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": 65535}
_PORT_NAME: dict[str, Any] = {"type": "string", "pattern": r"^[a-z0-9-]{1,15}$"}
_QUANTITY: dict[str, Any] = {"type": "string", "pattern": r"^\d+(\.\d+)?(m|Ki|Mi|Gi)?$"}
_STRINGS: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    """An object of exactly these properties, of which the named ones must be there."""
    return {"type": "object", "required": required.split(), "additionalProperties": False, "properties": properties}


_METADATA = _object("name", name=_NAME, labels=_STRINGS, annotations=_STRINGS)
_SELECTOR = _object("matchLabels", matchLabels=_STRINGS)
_PROBE = {
    **_object(
        "periodSeconds timeoutSeconds failureThreshold",
        httpGet=_object("path port", path={"type": "string", "pattern": "^/"}, port=_PORT_NAME),
        tcpSocket=_object("port", port=_PORT_NAME),
        periodSeconds=_COUNT,
        timeoutSeconds=_COUNT,
        failureThreshold={"type": "integer", "minimum": 1},
    ),
    "oneOf": [{"required": ["httpGet"]}, {"required": ["tcpSocket"]}],
}
_ENVIRONMENT = {
    **_object(
        "name",
        name=_TEXT,
        value={"type": "string"},
        valueFrom=_object("fieldRef", fieldRef=_object("fieldPath", fieldPath={"enum": ["metadata.name"]})),
    ),
    "oneOf": [{"required": ["value"]}, {"required": ["valueFrom"]}],
}
_REFERENCE = _object("name", name=_NAME)
_CONTAINER = _object(
    "name image args envFrom securityContext resources",
    name=_NAME,
    image=_TEXT,
    args=_WORDS,
    ports={"type": "array", "items": _object("name containerPort", name=_PORT_NAME, containerPort=_PORT)},
    envFrom={
        "type": "array",
        "items": {**_object("", configMapRef=_REFERENCE, secretRef=_REFERENCE), "maxProperties": 1},
    },
    env={"type": "array", "items": _ENVIRONMENT},
    lifecycle=_object("preStop", preStop=_object("exec", exec=_object("command", command=_WORDS))),
    startupProbe=_PROBE,
    readinessProbe=_PROBE,
    livenessProbe=_PROBE,
    securityContext=_object(
        "allowPrivilegeEscalation capabilities",
        allowPrivilegeEscalation={"const": False},
        capabilities=_object("drop", drop={"const": ["ALL"]}),
    ),
    resources=_object(
        "requests limits",
        requests=_object("cpu memory", cpu=_QUANTITY, memory=_QUANTITY),
        limits=_object("memory", memory=_QUANTITY),
    ),
)
_POD = _object(
    "metadata spec",
    metadata=_object("labels", labels=_STRINGS, annotations=_STRINGS),
    spec=_object(
        "containers securityContext",
        restartPolicy={"enum": ["Always", "OnFailure", "Never"]},
        terminationGracePeriodSeconds=_COUNT,
        securityContext=_object(
            "runAsNonRoot runAsUser seccompProfile",
            runAsNonRoot={"const": True},
            runAsUser={"type": "integer", "minimum": 1000},
            seccompProfile=_object("type", type={"const": "RuntimeDefault"}),
        ),
        containers={"type": "array", "items": _CONTAINER, "minItems": 1},
    ),
)
_BACKEND = _object("service", service=_object("name port", name=_NAME, port=_object("name", name=_PORT_NAME)))
_PATHS = {
    "type": "array",
    "minItems": 1,
    "items": _object(
        "path pathType backend",
        path={"type": "string", "pattern": "^/"},
        pathType={"enum": ["Exact", "Prefix", "ImplementationSpecific"]},
        backend=_BACKEND,
    ),
}
_SCALING = _object(
    "stabilizationWindowSeconds policies",
    stabilizationWindowSeconds={"type": "integer", "minimum": 0, "maximum": 3600},
    policies={
        "type": "array",
        "minItems": 1,
        "items": _object(
            "type value periodSeconds",
            type={"enum": ["Pods", "Percent"]},
            value={"type": "integer", "minimum": 1},
            periodSeconds={"type": "integer", "minimum": 1, "maximum": 1800},
        ),
    },
)
_METRIC = _object(
    "type pods",
    type={"const": "Pods"},
    pods=_object(
        "metric target",
        metric=_object("name", name=_TEXT),
        target=_object("type averageValue", type={"const": "AverageValue"}, averageValue=_QUANTITY),
    ),
)


def _kind(api_version: str, kind: str, **parts: Any) -> dict[str, Any]:
    properties = {"apiVersion": {"const": api_version}, "kind": {"const": kind}, "metadata": _METADATA, **parts}
    return _object(" ".join(["apiVersion kind metadata", *parts]), **properties)


KINDS: dict[str, dict[str, Any]] = {
    "Namespace": _kind("v1", "Namespace"),
    "ConfigMap": _kind("v1", "ConfigMap", data=_STRINGS),
    "Secret": _kind("v1", "Secret", type={"const": "Opaque"}, stringData=_STRINGS),
    "Deployment": _kind(
        "apps/v1",
        "Deployment",
        spec=_object(
            "replicas selector template",
            replicas=_COUNT,
            strategy=_object("type", type={"enum": ["Recreate", "RollingUpdate"]}),
            selector=_SELECTOR,
            template=_POD,
        ),
    ),
    "StatefulSet": _kind(
        "apps/v1",
        "StatefulSet",
        # Without `replicas`: they are the autoscaler's.
        spec=_object(
            "serviceName selector template",
            serviceName=_NAME,
            podManagementPolicy={"enum": ["OrderedReady", "Parallel"]},
            selector=_SELECTOR,
            template=_POD,
        ),
    ),
    "Job": _kind(
        "batch/v1",
        "Job",
        spec=_object("template", backoffLimit=_COUNT, ttlSecondsAfterFinished=_COUNT, template=_POD),
    ),
    "Service": _kind(
        "v1",
        "Service",
        spec=_object(
            "selector ports",
            clusterIP={"const": "None"},
            publishNotReadyAddresses={"type": "boolean"},
            selector=_STRINGS,
            ports={
                "type": "array",
                "items": _object("name port targetPort", name=_PORT_NAME, port=_PORT, targetPort=_PORT_NAME),
            },
        ),
    ),
    "Ingress": _kind(
        "networking.k8s.io/v1",
        "Ingress",
        spec=_object(
            "tls rules",
            tls={
                "type": "array",
                "minItems": 1,
                "items": _object("hosts secretName", hosts={"type": "array", "items": _HOST}, secretName=_NAME),
            },
            rules={
                "type": "array",
                "items": _object("host http", host=_HOST, http=_object("paths", paths=_PATHS)),
            },
        ),
    ),
    "PodDisruptionBudget": _kind(
        "policy/v1",
        "PodDisruptionBudget",
        spec={
            **_object("selector", minAvailable=_COUNT, maxUnavailable=_COUNT, selector=_SELECTOR),
            "oneOf": [{"required": ["minAvailable"]}, {"required": ["maxUnavailable"]}],
        },
    ),
    "HorizontalPodAutoscaler": _kind(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        spec=_object(
            "scaleTargetRef minReplicas maxReplicas metrics behavior",
            scaleTargetRef=_object("apiVersion kind name", apiVersion=_TEXT, kind=_TEXT, name=_NAME),
            minReplicas=_COUNT,
            maxReplicas=_COUNT,
            metrics={"type": "array", "items": _METRIC, "minItems": 1},
            behavior=_object("scaleUp scaleDown", scaleUp=_SCALING, scaleDown=_SCALING),
        ),
    ),
}
