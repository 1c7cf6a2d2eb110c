# shellcheck shell=bash
# Messages, `--help`, and installing what a script needs through apt, or naming it without apt.
#
#     wants_help "$@"                             whether an argument asks for help
#     show_help                                   prints the comment at the top of the script
#     need shellcheck "to check the scripts"      for each package that is missing
#     install_missing                             installs all of them

scripts_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
missing_packages=()

say() {
  echo "${0##*/}: $*" >&2
}

fail() {
  say "$*"
  exit 1
}

has() {
  command -v "$1" >/dev/null 2>&1
}

# Whether one of the arguments asks for help.
wants_help() {
  local word
  for word; do [[ $word != --help && $word != -h ]] || return 0; done
  return 1
}

# The lines of comment after the first line of the script.
show_help() {
  sed -n '2,${/^#/!q; s/^# \{0,1\}//p}' "$scripts_folder/${0##*/}"
  exit
}

# need PACKAGE WHY
need() {
  missing_packages+=("$1")
  say "missing: $1, $2"
}

install_missing() {
  ((${#missing_packages[@]} > 0)) || return 0
  has apt-get || fail "This script installs packages on Debian and Ubuntu only." \
    "Please install what is listed above, then run it again."
  ((EUID == 0)) || has sudo || fail "To install what is listed above, please run as root:" \
    "apt-get install --no-install-recommends ${missing_packages[*]}"

  say "Installing with apt: ${missing_packages[*]}"
  apt_install "${missing_packages[@]}" || fail "apt could not install: ${missing_packages[*]}"
  scripts_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
missing_packages=()
}

# In a subshell, so that its exit trap always runs.
apt_install() (
  set -e
  folder=/etc/postgresql-common/createcluster.d
  file=$folder/90-private-test-servers.conf
  trap 'as_root rm -f "$file"; as_root rmdir "$folder" "${folder%/*}" 2>/dev/null || true' EXIT

  # Debian's PostgreSQL creates and starts a cluster when it is installed. Only the programs are
  # needed here, so that is disabled during the installation.
  as_root mkdir -p "$folder"
  echo "create_main_cluster = false" | as_root tee "$file" >/dev/null

  as_root apt-get -qq -o DPkg::Lock::Timeout=300 update >&2
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    install --no-install-recommends "$@" </dev/null >/dev/null
)

# unpack_packages FOLDER PACKAGE…: unpacks them and their dependencies without installing them, since
# an installed server would be started.
unpack_packages() {
  local folder=$1 package
  shift
  has apt-get && has dpkg-deb || return
  rm -rf "$folder" && mkdir -p "$folder/archives/partial"
  as_root apt-get -qq -o DPkg::Lock::Timeout=300 update >&2 || return
  apt-get -qq -y -o Dir::Cache::archives="$folder/archives" -o Debug::NoLocking=true \
    --no-install-recommends --download-only install "$@" >/dev/null || return
  for package in "$folder"/archives/*.deb; do dpkg-deb --extract "$package" "$folder" || return; done
}

as_root() {
  if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}
