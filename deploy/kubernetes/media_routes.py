"""Prints media-routes.yaml: a Service and an Ingress host for each media server that the autoscaler may start.

python deploy/kubernetes/media_routes.py 8 media.example.com > deploy/kubernetes/media-routes.yaml
"""

import sys

_SERVICE = """\
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  # Also while it drains: calls that were given to it a moment before still come.
  publishNotReadyAddresses: true
  selector:
    statefulset.kubernetes.io/pod-name: {name}
  ports:
    - name: stream
      port: 80
      targetPort: stream
"""
_INGRESS = """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: breeze-media
  annotations:
    # A stream lasts as long as its call.
    nginx.ingress.kubernetes.io/proxy-read-timeout: "14500"
    nginx.ingress.kubernetes.io/proxy-send-timeout: "14500"
spec:
  tls:
    - hosts: ["{domain}", "*.{domain}"]
      secretName: {secret}
  rules:
"""
_RULE = """\
    - host: {host}
      http:
        paths:
          - path: /agent/voice/breeze-buddy/ws/twilio
            pathType: Exact
            backend:
              service:
                name: {service}
                port:
                  name: stream
"""


def routes(count: int, domain: str) -> str:
    """The manifests for pods 0 to `count` - 1 under `domain`, and for any of them under the domain itself."""
    names = [f"breeze-media-{place}" for place in range(count)]
    rules = [_RULE.format(host=domain, service="breeze-media")]
    rules += [_RULE.format(host=f"{name}.{domain}", service=name) for name in names]
    ingress = _INGRESS.format(domain=domain, secret=domain.replace(".", "-") + "-tls")
    return "# Made by media_routes.py.\n" + ingress + "".join(rules) + "".join(_SERVICE.format(name=n) for n in names)


if __name__ == "__main__":
    sys.stdout.write(routes(int(sys.argv[1]), sys.argv[2]))
