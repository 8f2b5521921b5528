#!/usr/bin/env bash
# An S3 server on this machine, for tests: moto's, in a Python environment of its own. Needs Python 3.9+ with venv and pip.
#   s3.sh fetch         download it (once)
#   s3.sh serve PORT    serve on 127.0.0.1:PORT in the foreground; what it holds is gone when it ends
# Environment: S3_HOME_DIR (where it is kept, default: cache folder).
set -euo pipefail
version=5.2.5
home=${S3_HOME_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/s3-local}/$version
case ${1:?"usage: see the head of $0"} in
  fetch)
    [ -e "$home/is-whole" ] && exit 0
    python3 -m venv "$home"
    "$home/bin/pip" install --quiet --disable-pip-version-check "moto[s3,server]==$version"
    touch "$home/is-whole" ;;
  serve)
    "$0" fetch
    exec "$home/bin/moto_server" -H 127.0.0.1 -p "${2:?"usage: s3.sh serve PORT"}" ;;
  *) sed -n '2,5p' "$0" >&2; exit 2 ;;
esac
