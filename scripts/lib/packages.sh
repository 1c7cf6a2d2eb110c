# shellcheck shell=bash
# Installs what a script needs through apt, or names it where there is no apt.
#
#     need shellcheck "to check the scripts"      for each package that is missing
#     install_missing                             installs them all in one go

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
  missing_packages=()
}

# A subshell, so that its exit trap runs however the installation ends.
apt_install() (
  set -e
  folder=/etc/postgresql-common/createcluster.d
  file=$folder/90-private-test-servers.conf
  trap 'as_root rm -f "$file"; as_root rmdir "$folder" "${folder%/*}" 2>/dev/null || true' EXIT

  # Debian's PostgreSQL makes a cluster and starts it when it is first installed. Only the
  # programs are wanted here, so that is switched off for as long as this takes.
  as_root mkdir -p "$folder"
  echo "create_main_cluster = false" | as_root tee "$file" >/dev/null

  as_root apt-get -qq -o DPkg::Lock::Timeout=300 update >&2
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    install --no-install-recommends "$@" </dev/null >/dev/null
)

# unpack_packages FOLDER PACKAGE…: their files and those of what they need, without installing them:
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
