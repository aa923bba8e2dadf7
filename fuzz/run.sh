#!/bin/sh
# Runs every fuzz target for some seconds each: fuzz/run.sh [SECONDS] [TARGET...]
#
# Needs cargo-fuzz. Where it is missing it says so and ends with status 0, or with 1 if
# FUZZ_REQUIRED=1.
#
# The compiler is the one that rust-toolchain.toml pins. RUSTC_BOOTSTRAP=1 has it take the
# options of a nightly one, which sanitizers and coverage need: they add checks to the same
# language. That is sound here alone, since what is built so is run to find faults and then
# thrown away. Nothing that is handed out or measured may be built so.
set -eu

seconds=${1:-20}
[ $# -eq 0 ] || shift
cd "$(dirname "$0")"
export RUSTC_BOOTSTRAP=1

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "fuzz: skipped: no cargo-fuzz (cargo install cargo-fuzz)" >&2
    exit "${FUZZ_REQUIRED:-0}"
fi
# cargo-fuzz itself cannot be told to leave Cargo.lock as it is.
cargo fetch --locked --quiet
python3 real_evidence.py

[ $# -gt 0 ] || set -- $(cargo fuzz list)
for target in "$@"; do
    echo "fuzz: $target for $seconds s"
    mkdir -p "corpus/$target"
    seeds=
    [ -d "seeds/$target" ] && seeds="seeds/$target"
    # AWS-LC is C and stays uninstrumented; its leaks are not ours to look for.
    cargo fuzz run "$target" "corpus/$target" $seeds -- \
        -max_total_time="$seconds" -print_final_stats=0 -verbosity=0 -rss_limit_mb=1024 -max_len=65536
done
echo "fuzz: $# targets without a finding"
