#!/usr/bin/env bash
# Build the images, and see the compose file trade.
#
#   scripts/containers.sh build      every image, on BASE_IMAGE (default python:3.12-slim-bookworm), from wheels/
#   scripts/containers.sh up         everything from Debian packages: base, wheels, images, compose; waits for fills, then ends
#
# `up` needs root, docker.io, docker-compose and mmdebstrap. Where no engine answers it starts one of its own in its own network
# namespace, so that nothing of this machine changes. Environment: OMEGA_TAG, SPEED (times real time), WITHIN_S, KEEP=1.
set -euo pipefail
cd "$(dirname "$0")/.."

export DOCKER_BUILDKIT=1 OMEGA_TAG=${OMEGA_TAG:-0.1.0}
services=(analytics cosmic discord_bot gateway ledger runner simulator)
project=${PROJECT:-omega-try}
home=""
engine=""

say() { echo "containers: $*"; }
fail() { echo "containers: $*" >&2; exit 3; }

# A bare newer client cannot build without buildx; Debian's can.
docker=docker
if ! docker buildx version >/dev/null 2>&1 && [ -x /usr/bin/docker ]; then docker=/usr/bin/docker; fi
command -v "$docker" >/dev/null || fail "no container engine: apt-get install docker.io docker-compose, or install Docker."

compose() {
  if command -v docker-compose >/dev/null; then docker-compose -p "$project" "$@"; else "$docker" compose -p "$project" "$@"; fi
}

start_engine() {
  "$docker" info >/dev/null 2>&1 && return
  if [ "$(id -u)" != 0 ] || ! command -v dockerd >/dev/null; then
    fail "no container engine answers. Start it, or run this as root with docker.io installed."
  fi
  home=$(mktemp -d)
  export DOCKER_HOST=unix://$home/docker.sock
  unshare --net sh -c "ip link set lo up; exec dockerd --data-root $home/data --exec-root $home/exec --pidfile $home/docker.pid \
    --host $DOCKER_HOST >$home/log 2>&1" &
  engine=$!
  for _ in $(seq 150); do "$docker" info >/dev/null 2>&1 && return; sleep 0.1; done
  tail -5 "$home/log" >&2
  fail "an engine of our own did not start; the end of its log stands above."
}

finish() {
  status=$?
  if [ -n "$engine" ]; then
    kill "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
    rm -rf "$home"
  fi
  exit $status
}

build() {
  [ -d wheels/project ] || fail "wheels/ is empty. Run scripts/wheels.sh first (make images does)."
  for service in "${services[@]}"; do
    say "building omega-$service:$OMEGA_TAG"
    "$docker" build --quiet --build-arg BASE_IMAGE="${BASE_IMAGE:-python:3.12-slim-bookworm}" --target "$service" \
      -t "omega-$service:$OMEGA_TAG" . >/dev/null
  done
}

local_images() {
  export BASE_IMAGE=omega-base:bookworm REDIS_IMAGE=omega-redis:bookworm POSTGRES_IMAGE=omega-postgres:bookworm
  PATH="$(dirname "$(command -v "$docker")"):$PATH" # the scripts below call docker too
  "$docker" image inspect "$BASE_IMAGE" >/dev/null 2>&1 || scripts/base_image.sh "$BASE_IMAGE"
  "$docker" image inspect omega-servers:bookworm >/dev/null 2>&1 ||
    EXTRA_PACKAGES="redis-server postgresql-15" scripts/base_image.sh omega-servers:bookworm
  scripts/wheels.sh "$("$docker" run --rm "$BASE_IMAGE" python3 -c 'import platform; print(platform.python_version())')"
  for server in redis postgres; do
    "$docker" build --quiet -f deploy/containers/servers.Dockerfile --target "$server" -t "omega-$server:bookworm" . >/dev/null
  done
  build
}

metric() { # service port metric: the sum of its series
  compose exec -T "$1" python -I -S -c "
import http.client, sys
c = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]), timeout=3)
c.request('GET', '/metrics')
rows = [line.rsplit(' ', 1) for line in c.getresponse().read().decode().splitlines() if line.startswith(sys.argv[2])]
print(sum(float(value) for _, value in rows))" "$2" "$3"
}

ids() { compose ps -a -q 2>/dev/null; }

inspect() {
  for id in $(ids); do
    "$docker" inspect --format '{{.Name}} health={{.State.Health.Status}} user={{.Config.User}} readonly={{.HostConfig.ReadonlyRootfs}} memory={{.HostConfig.Memory}} restarts={{.RestartCount}}' "$id"
  done
}

bring_down() {
  [ -n "${KEEP:-}" ] || compose down -v -t 30 >/dev/null 2>&1 || true
}

give_up() {
  inspect
  compose logs --tail=15 2>/dev/null
  bring_down
  echo "containers: $1; the state and the ends of the logs stand above." >&2
  exit 1
}

trade() {
  export SPEED=${SPEED:-300}
  compose down -v -t 5 >/dev/null 2>&1 || true
  begun=$SECONDS
  compose up -d --no-build 2>&1 | sed 's/^/  /' || give_up "not every container started"
  deadline=$((SECONDS + ${WITHIN_S:-240}))
  fills=0
  until [ "${fills%.*}" -gt 0 ]; do
    [ "$SECONDS" -le "$deadline" ] || give_up "no fill within ${WITHIN_S:-240} s"
    sleep 2
    fills=$(metric gateway 9101 omega_fills_total 2>/dev/null || echo 0)
  done
  say "it trades: ${fills%.*} fills, $((SECONDS - begun)) s after the start of the containers"
  for _ in $(seq 60); do # the first health check of the last one may still be due
    inspect | grep -v 'health=healthy' >/dev/null || break
    sleep 1
  done
  inspect
  # A container that ignores SIGTERM would take the whole grace.
  before=$SECONDS
  compose stop -t 60 >/dev/null 2>&1
  say "stopped in $((SECONDS - before)) s"
  for id in $(ids); do
    "$docker" inspect --format '{{.Name}} exit={{.State.ExitCode}}' "$id"
  done
  bring_down
}

case "${1:-}" in
  build) build ;;
  up) trap finish EXIT; start_engine; local_images; trade ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
