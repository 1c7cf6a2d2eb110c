# shellcheck shell=bash
# The release program for Python scripts that find it by CARGO_TARGET_DIR.
#
#     find_release      builds it; RELEASE_FOLDER=path takes one that is there already, in a folder
#                       that has to be called `release`

# shellcheck source=scripts/lib/packages.sh
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

find_release() {
  if [[ -n ${RELEASE_FOLDER-} ]]; then
    CARGO_TARGET_DIR=$(dirname "$(realpath "$RELEASE_FOLDER")")
    export CARGO_TARGET_DIR
  else
    has cargo || fail "The Rust toolchain is missing: see https://rustup.rs."
    cargo build --locked --release --package discogsography-api
  fi
}
