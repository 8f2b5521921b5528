#!/usr/bin/env bash
# Requests made from an OpenAPI document, for tests: Schemathesis, in a Python environment of its own. Needs Python 3.10+ with venv
# and pip.
#   schemathesis.sh fetch               download it (once)
#   schemathesis.sh run URL ARGS...     as `schemathesis run URL ARGS...`
# Environment: SCHEMATHESIS_HOME_DIR (where it is kept, default: cache folder).
set -euo pipefail
version=4.32.5
home=${SCHEMATHESIS_HOME_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/schemathesis-local}/$version
case ${1:?"usage: see the head of $0"} in
  fetch)
    [ -e "$home/is-whole" ] && exit 0
    python3 -m venv "$home"
    "$home/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
    touch "$home/is-whole" ;;
  run)
    "$0" fetch
    shift
    exec "$home/bin/schemathesis" run "$@" ;;
  *) sed -n '2,6p' "$0" >&2; exit 2 ;;
esac
