#!/bin/sh
# Runs every fuzz target for some seconds each: fuzz/run.sh [SECONDS] [TARGET...]
#
# Needs a nightly toolchain and cargo-fuzz. Where one is missing it says so and
# ends with status 0, or with 1 if FUZZ_REQUIRED=1.
set -eu

seconds=${1:-20}
[ $# -eq 0 ] || shift
cd "$(dirname "$0")"

missing() {
    echo "fuzz: skipped: $1" >&2
    [ "${FUZZ_REQUIRED:-0}" = 1 ] && exit 1
    exit 0
}
# rust-toolchain.toml pins a stable compiler for everything else.
export RUSTUP_TOOLCHAIN=nightly
cargo --version >/dev/null 2>&1 || missing "no nightly toolchain (rustup toolchain install nightly)"
cargo fuzz --version >/dev/null 2>&1 || missing "no cargo-fuzz (cargo install cargo-fuzz)"

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
