#!/bin/sh
# Makes this report again, from the root of the tree at the commit in host.json.
# The machine should be quiet.
set -eu

cargo build --release -p adjunct -p adjunct-bench
target/release/adjunct-bench profile --out
