# shellcheck shell=bash
# The browser tests, if this machine has a browser and Node.js 20 or newer.
#
#     find_browser                   installs Chromium if it is missing; without Node.js it reports
#                                    that the tests are left out
#     browser_tests FOLDER           runs them; the last line of output is like that of `cargo test`.
#                                    The output is also written to the folder

# shellcheck source=scripts/lib/packages.sh
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

# Why the browser tests are left out; empty if they run.
no_browser=

find_browser() {
  if ! has npm || ! node_is_new_enough; then
    no_browser="they need Node.js 20 or newer, with npm"
    say "The browser tests are left out: $no_browser."
  elif ! find_chromium; then
    need chromium "the browser that tests the account page"
    need fonts-dejavu-core "the fonts that it uses"
    install_missing
    find_chromium || fail "Chromium was not found. Set CHROMIUM to its path."
  fi
}

node_is_new_enough() {
  has node && (($(node --print 'process.versions.node.split(".")[0]') >= 20))
}

find_chromium() {
  CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser ||
    command -v google-chrome)} && [[ -n $CHROMIUM ]] && export CHROMIUM
}

browser_tests() {
  local status=0 output=$1/browser.log
  SERVICE_BINARY=$(realpath "${CARGO_TARGET_DIR:-target}")/debug/discogsography-api
  export SERVICE_BINARY
  (
    cd tests/browser && npm ci --silent --no-audit --no-fund &&
      npm test --silent -- --test-reporter=spec
  ) 2>&1 | tee "$output" || status=$?
  awk '
    $2 == "pass" { passed = $3 }
    $2 == "fail" { failed = $3 }
    $2 == "skipped" { skipped = $3 }
    END { print "test result: browser. " passed+0 " passed; " failed+0 " failed; " skipped+0 " ignored;" }
  ' "$output"
  return "$status"
}
