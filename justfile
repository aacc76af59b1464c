# The tasks of s3mem: `just` lists them, `just TASK` runs one.
# What a step of continuous integration does is in .ci/run, which needs no just.

_default:
    @just --list --unsorted

# Everything that continuous integration runs
ci:
    .ci/run

# Check the formatting
fmt:
    .ci/run fmt

# Check the shell scripts
shellcheck:
    .ci/run shellcheck

# Check licenses, sources and doubles of dependencies
deny:
    .ci/run deny

# Lint all targets; a warning is an error
clippy:
    .ci/run clippy

# Run every test; what this machine lacks is a failure
test:
    .ci/run test

# Two minutes of readers, writers and faults on one mount
soak:
    .ci/run soak

# Fuzz every target with a set number of inputs, or for S3MEM_FUZZ_SECONDS
fuzz:
    .ci/run fuzz

# Take the tour of the demo once
demo:
    .ci/run demo

# Format the code
format:
    cargo fmt --all
    cargo fmt --manifest-path fuzz/Cargo.toml
    cargo fmt --manifest-path benches/peers/mountpoint/Cargo.toml

# Build the program: target/release/s3mem
build:
    cargo build --release --locked

# Run the integration tests whose names contain this, with what the machine has
it NAME *ARGS:
    scripts/test.sh --test it {{ NAME }} {{ ARGS }}

# Run the unit tests whose names contain this
unit NAME *ARGS:
    cargo test --release --locked --lib {{ NAME }} {{ ARGS }}

# Accept the help texts as they are printed now
bless:
    S3MEM_BLESS=1 cargo test --release --locked --test it kernelless::cli::help

# Measure reading, writing or views: just bench peers --reps 3
bench NAME *ARGS:
    cargo bench --locked --bench {{ NAME }} -- {{ ARGS }}

# Print what the changelog says of a version
release-notes VERSION:
    scripts/release-notes.sh {{ VERSION }}
