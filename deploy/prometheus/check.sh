#!/usr/bin/env bash
# Checks the files for Prometheus, Alertmanager and Grafana, and starts nothing:
#   promtool check rules, promtool test rules, promtool check config, amtool check-config;
#   every metric that they and docs/runbook.md name is in the code, or recorded in rules.yaml;
#   every alert has its entry in docs/runbook.md, its tests, and the reverse; the dashboard is JSON.
# promtool and amtool come from the PATH, or as prometheus.sh gets them. Exit code 1: something is wrong, 2: something is missing here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=deploy/prometheus dashboard=deploy/grafana/tillstream.json runbook=docs/runbook.md
say() { printf '%s\n' "$*" >&2; }
missing() { say "error: $1 is missing: install $2, then run again: $0"; exit 2; }
command -v python3 > /dev/null || missing python3 "Python 3"
"$here/prometheus.sh" fetch
promtool() { "$here/prometheus.sh" promtool "$@"; }

wrong=0
# none_but WHAT LEFT RIGHT: it is wrong if something stands in LEFT and not in RIGHT; says what
none_but() {
  local only
  only=$(comm -23 <(sort -u <<< "$2") <(sort -u <<< "$3"))
  [ -z "$only" ] || { say "$1:"; say "$only"; wrong=1; }
}

promtool check rules "$here/rules.yaml" || wrong=1
promtool test rules "$here/rules_test.yaml" "$here/rules_week_test.yaml" || wrong=1
promtool check config "$here/prometheus.yaml" || wrong=1
"$here/prometheus.sh" amtool check-config "$here/alertmanager.yaml" || wrong=1
python3 -m json.tool "$dashboard" /dev/null || wrong=1

in_code=$(grep -rhoE '"tillstream_[a-z0-9_]+"' --include='*.rs' src | tr -d '"')
recorded=$(sed -nE 's/^ *- record: //p' "$here/rules.yaml")
named=$(grep -ohE '[a-z0-9_:]*tillstream_[a-z0-9_:]*' "$here"/*.yaml "$dashboard" "$runbook")
# what a histogram shows of itself
named=$(sed -E 's/^(tillstream_[a-z0-9_]+_seconds)_(bucket|sum|count)$/\1/' <<< "$named")
none_but "named, and neither a metric of the code nor recorded" "$named" "$in_code"$'\n'"$recorded"

alerts=$(sed -nE 's/^ *- alert: //p' "$here/rules.yaml")
entries=$(sed -nE 's/^## (Tillstream.*)/\1/p' "$runbook")
tested=$(grep -ohE 'Tillstream[A-Za-z]+' "$here"/*_test.yaml)
links=$(sed -nE "s|^ *runbook_url: $runbook#||p" "$here/rules.yaml")
none_but "alerts without an entry in $runbook" "$alerts" "$entries"
none_but "entries of $runbook without an alert" "$entries" "$alerts"
none_but "alerts without a test" "$alerts" "$tested"
none_but "alerts that do not link to their entry" "${alerts,,}" "$links"
none_but "links to no entry" "$links" "${entries,,}"
exit "$wrong"
