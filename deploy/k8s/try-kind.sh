#!/usr/bin/env bash
# Run the paper overlay on a throw-away cluster of yours (kind) and check what no test without a cluster can.
#
#   make images && deploy/k8s/try-kind.sh
#
# Needs kind, kubectl and a container engine. It makes the cluster "omega-try" and removes it at the end; KEEP=1 leaves it.
set -euo pipefail
cd "$(dirname "$0")/../.."

tag=${OMEGA_TAG:-0.1.0}
name=omega-try
space=omega-paper
for tool in kind kubectl docker; do
  command -v "$tool" >/dev/null || { echo "try-kind: $tool is not installed" >&2; exit 3; }
done

failures=0
check() { # what, command...
  local what=$1; shift
  if "$@" >/dev/null 2>&1; then echo "ok    $what"; else echo "FAIL  $what"; failures=$((failures + 1)); fi
}

cleanup() { [ -n "${KEEP:-}" ] || kind delete cluster --name "$name" >/dev/null 2>&1; }
trap cleanup EXIT
kind create cluster --name "$name" --wait 120s
for service in analytics cosmic gateway ledger runner simulator discord_bot; do
  kind load docker-image "omega-$service:$tag" --name "$name"
done

kubectl config use-context "kind-$name" >/dev/null
kubectl apply -k deploy/k8s/overlays/paper
for workload in statefulset/redis statefulset/postgres deployment/simulator statefulset/gateway deployment/ledger \
  deployment/cosmic deployment/analytics deployment/runner-fib-btc deployment/runner-trend-eth \
  deployment/runner-positions deployment/runner-market; do
  check "$workload becomes ready" kubectl -n "$space" rollout status "$workload" --timeout=300s
done

# The runner's image has no shell tools beyond Python; it is enough to try a connection.
reach() { # host port: exit 0 when a runner can connect
  kubectl -n "$space" exec deployment/runner-fib-btc -- python -c \
    "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)" "$1" "$2"
}
refuse() { ! reach "$@"; }
check "a runner reaches Redis" reach redis 6379
check "a runner reaches no database (needs a CNI that enforces NetworkPolicies)" refuse postgres 5432
check "a runner reaches no exchange" refuse simulator 8090
check "a runner reaches no internet" refuse 1.1.1.1 443

kubectl -n "$space" delete pod gateway-0 --wait=true >/dev/null
check "a killed gateway comes back and recovers" kubectl -n "$space" rollout status statefulset/gateway --timeout=180s

kubectl -n "$space" patch configmap omega-live --type merge \
  -p '{"data":{"live.yaml":"monitoring:\n  log_level: debug\n"}}' >/dev/null
arrived() {
  for _ in $(seq 36); do
    kubectl -n "$space" exec gateway-0 -- grep -q debug /app/live/live.yaml && return 0
    sleep 5
  done
  return 1
}
check "an edit of the live ConfigMap arrives within three minutes" arrived

kubectl version
if [ "$failures" != 0 ]; then
  echo "try-kind: $failures checks failed"
  exit 1
fi
echo "try-kind: all checks passed"
