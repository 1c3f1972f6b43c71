#!/bin/sh
# Makes this report again, from the root of the tree at the commit in host.json.
# The machine should be quiet.
set -eu

cargo build --release -p adjunct
cargo build --release -p adjunct-bench --bin adjunct-bench
./target/release/adjunct-bench peers --only haproxy,nginx --scenario bulk-down,bulk-up --rounds 9
