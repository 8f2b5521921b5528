#!/usr/bin/env bash
# axe.sh fetch [FOLDER]: puts axe-core, which looks for barriers on the page, into FOLDER (target/page) and prints its path.
# Version and hash are pinned; a file that is there already is checked again and not fetched.
set -euo pipefail

version=4.14.1
# of the package as the registry serves it
integrity=FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
[ "${1:-}" = fetch ] || { printf 'usage: %s fetch [FOLDER]\n' "$0" >&2; exit 2; }
folder=${2:-$root/target/page}
package=$folder/axe-core-$version.tgz

mkdir -p "$folder"
[ -f "$package" ] || npm pack --silent --pack-destination "$folder" "axe-core@$version" > /dev/null
if [ "$(openssl dgst -sha512 -binary "$package" | base64 -w 0)" != "$integrity" ]; then
  printf 'error: %s is not what was pinned\n' "$package" >&2
  exit 1
fi
tar -xzf "$package" -C "$folder" --strip-components 1 package/axe.min.js
printf '%s\n' "$folder/axe.min.js"
