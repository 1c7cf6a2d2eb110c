# Short names for the usual commands. Each can be typed out just as well.

# Lists the commands.
default:
    @just --list

# Runs every test on servers of its own; filters can follow.
test-api *filters:
    scripts/test {{ filters }}

# Runs the tests that need no server.
test:
    cargo test --locked --workspace

# Starts the service, configured by the environment.
run:
    cargo run --release -- serve

# Starts the service with a stand-in for Discogs: nothing to configure.
sandbox:
    cargo run --release -- serve --sandbox

# Checks format and lints.
lint:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings

# Runs all that has to pass before a change lands.
ci:
    bash .ci/run

# Shows which lines the tests reach, by file.
coverage:
    scripts/test --coverage
