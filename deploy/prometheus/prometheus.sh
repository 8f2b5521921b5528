#!/usr/bin/env bash
# Prometheus and Alertmanager with their tools, as Debian packages them; nothing is installed and no service is started.
#   prometheus.sh fetch           download them (about 30 MB, once)
#   prometheus.sh NAME ARGS...    run prometheus, promtool, alertmanager or amtool in the foreground
# What is on the PATH is taken in place of a download; where there is no apt-get, it has to be there.
# Environment: PROMETHEUS_HOME_DIR (where they are kept, default: cache folder).
set -euo pipefail
home=${PROMETHEUS_HOME_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/prometheus-local}
names="prometheus promtool alertmanager amtool"
say() { printf '%s\n' "$*" >&2; }

# place NAME: prints where it is, if anywhere; Debian calls Alertmanager by another name
place() {
  command -v "$1" || { [ "$1" = alertmanager ] && command -v prometheus-alertmanager; } ||
    { [ -x "$home/$1" ] && printf '%s\n' "$home/$1"; }
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else command -v sudo > /dev/null && sudo "$@"; fi
}

# download FOLDER: the two packages; lists that are missing or old are fetched first
download() (
  cd "$1"
  get() { apt-get download -qq -o APT::Sandbox::User=root prometheus prometheus-alertmanager > /dev/null; }
  get 2> /dev/null || { as_root apt-get update -qq && get; }
)

fetch() (
  missing=""
  for name in $names; do place "$name" > /dev/null || missing="$missing $name"; done
  [ -n "$missing" ] || exit 0
  command -v apt-get > /dev/null && command -v dpkg-deb > /dev/null ||
    { say "error: not on the PATH:$missing; get Prometheus and Alertmanager from https://prometheus.io/download/"; exit 2; }
  mkdir -p "$home"
  # beside their place, so that what is moved there is there as a whole
  work=$(mktemp -d "$home/new.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  download "$work" || { say "error: Debian's packages prometheus and prometheus-alertmanager cannot be had; missing:$missing"; exit 2; }
  for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work"; done
  # Debian's Alertmanager reads its templates from a folder of the system, and ends without them: ours gets a path of the same
  # length to a folder that is open as file 9 when it is run
  [ -d "$home/templates" ] || mv "$work/usr/share/prometheus/alertmanager" "$home/templates"
  LC_ALL=C sed "s#/usr/share/prometheus/alertmanager#/dev/fd/9/////////////////////////#" \
    "$work/usr/bin/prometheus-alertmanager" > "$work/usr/bin/alertmanager"
  chmod +x "$work/usr/bin/alertmanager"
  for name in $missing; do mv "$work/usr/bin/$name" "$home/$name"; done
)

case " $names fetch " in
  *" ${1:?"usage: see the head of $0"} "*) ;;
  *) sed -n '2,6p' "$0" >&2; exit 2 ;;
esac
fetch
[ "$1" = fetch ] && exit 0
program=$(place "$1")
[ "$program" != "$home/alertmanager" ] || exec 9< "$home/templates"
exec "$program" "${@:2}"
