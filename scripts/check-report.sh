#!/usr/bin/env bash
# Opens reports in headless Chromium, narrow and wide, light and dark, on paper and without JavaScript, and checks what a
# reader would see. Without arguments a quickstart is run and its report checked.
#
#     scripts/check-report.sh [REPORT.html...]
#
# Needs node with npm and a Chromium; without them it says so and does nothing (an error if REQUIRE_BROWSER=1).
# Screenshots and the driver (playwright-core) are in target/report-test/.
set -euo pipefail
cd "$(dirname "$0")/.."
PLAYWRIGHT=1.65.1
browser=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
if [ -z "$browser" ] || ! command -v npm >/dev/null; then
    echo "check-report: skipped, no Chromium or no npm here"
    exit "${REQUIRE_BROWSER:-0}"
fi
work=$PWD/target/report-test
mkdir -p "$work"
if [ ! -d "$work/node_modules/playwright-core" ]; then
    (cd "$work" && npm init --yes >/dev/null && npm install --silent --no-audit --no-fund "playwright-core@$PLAYWRIGHT")
fi
reports=("$@")
if [ ${#reports[@]} -eq 0 ]; then
    cargo run --release --quiet -- run --out "$work/quickstart" >/dev/null
    cargo run --release --quiet -- report "$work/quickstart" --out "$work/quickstart.html"
    reports=("$work/quickstart.html")
fi
cp scripts/check-report.mjs "$work/check-report.mjs"
CHROMIUM=$browser node "$work/check-report.mjs" "$work" "${reports[@]}"
