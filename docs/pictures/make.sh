#!/bin/sh
# Makes the pictures of this folder from a real run in a new sandbox. It needs Python 3, Chromium, and the path of a
# built `bootstrapper`:
#
#     docs/pictures/make.sh target/debug/bootstrapper 80
#
# The second argument is the moment of the terminal's picture, in seconds.
set -eu
program=$(realpath "$1")
moment=$2
cd "$(dirname "$0")"
work=$(mktemp -d)
export BOOTSTRAPPER_STATE_DIR="$work/state" BOOTSTRAPPER_TRUST=1 BOOTSTRAPPER_SANDBOX_NETWORK=simulated
trap '"$program" sandbox down infra; rm -rf "$work"' EXIT

python3 terminal.py record "$work/run.jsonl" -- "$program" infra --sandbox
python3 terminal.py draw "$work/run.jsonl" run.svg "$moment" 'infra  https' 'A run of bootstrapper infra'

page=$(echo "$BOOTSTRAPPER_STATE_DIR"/runs/infra/*.html)
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --blink-settings=preferredColorScheme=1 \
  --window-size=1200,1500 --screenshot="$PWD/timeline.png" "file://$page"
