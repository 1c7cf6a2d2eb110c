# shellcheck shell=bash
# Runs a Python module of chaos/ with a release binary, the servers' programs and a folder.
#
#     source scripts/lib/servers.sh
#     source scripts/lib/chaos.sh
#     run_chaos chaos.soak 10
#
# RELEASE_FOLDER=path takes a binary that is there already: see release.sh.

# shellcheck source=scripts/lib/release.sh
source "$(dirname "${BASH_SOURCE[0]}")/release.sh"

run_chaos() {
  has python3 || need python3 "to run the chaos"
  has setpriv || fail "This needs setpriv (of util-linux)."
  find_servers ""
  find_release

  # The chaos starts its own servers, since it stops them; the folder goes when the script does.
  make_servers_folder
  let_server_user_read_postgres
  # shellcheck disable=SC2154 # servers.sh sets them
  export CHAOS_FOLDER=$servers_folder CHAOS_POSTGRES_BIN=$postgres_bin CHAOS_REDIS=$redis_program
  # What is mounted inside is gone when its last process is, however that ends.
  local private=()
  if ((EUID == 0)); then private=(unshare --mount); fi
  run_command "${private[@]}" python3 -m "$@" </dev/null
}
