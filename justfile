# What a contributor runs. `just ci` is exactly what CI runs.

# Format, compile and lint, without running anything.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Every test; give a name to run only those that contain it.
test *FILTER:
    scripts/test {{FILTER}}

# Rewrites the expectations of the composition and planning cases; read the difference before you commit it.
cases:
    UPDATE_CASES=1 cargo test -p supergraph --tests

# The benchmarks behind benches/numbers.md.
bench:
    cargo bench --workspace

# The demo of the release build, asked what the README asks.
smoke:
    cargo build --release
    scripts/smoke

# All of CI.
ci:
    .ci/run
