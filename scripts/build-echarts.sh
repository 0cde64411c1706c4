#!/usr/bin/env bash
# Builds src/report/html/echarts.min.js: of Apache ECharts only what the report draws with, as one script that loads nothing.
# Needs node with npm and the network; run it to renew the file, which is committed.
set -euo pipefail
cd "$(dirname "$0")/.."
ECHARTS=6.1.0
ESBUILD=0.28.2
target=$PWD/src/report/html
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund "echarts@$ECHARTS" "esbuild@$ESBUILD"
cat >entry.js <<'JS'
import { init, use } from 'echarts/core';
import { BarChart, CustomChart } from 'echarts/charts';
import { DataZoomComponent, GridComponent, TooltipComponent } from 'echarts/components';
import { SVGRenderer } from 'echarts/renderers';
use([BarChart, CustomChart, DataZoomComponent, GridComponent, TooltipComponent, SVGRenderer]);
export { init };
JS
npx esbuild entry.js --bundle --minify --format=iife --global-name=echarts --target=es2020 --charset=ascii \
    --legal-comments=none --define:process.env.NODE_ENV='"production"' \
    --banner:js="/* Apache ECharts $ECHARTS (part), Apache License 2.0, see echarts.LICENSE */" --outfile=echarts.min.js --log-level=warning
cp echarts.min.js "$target/echarts.min.js"
{
    echo "echarts.min.js is a part of Apache ECharts $ECHARTS and of ZRender, bundled by scripts/build-echarts.sh."
    echo
    cat node_modules/echarts/NOTICE
    echo
    cat node_modules/echarts/LICENSE
    echo
    echo "ZRender:"
    echo
    cat node_modules/zrender/LICENSE
    echo
    echo "tslib:"
    echo
    cat node_modules/tslib/LICENSE.txt
} >"$target/echarts.LICENSE"
echo "$target/echarts.min.js: $(wc -c <"$target/echarts.min.js") bytes"
