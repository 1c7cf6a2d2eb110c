# shellcheck shell=bash
# Programs from PyPI in the build folder, apart from those of the machine.
#
#     find_python_tools NAME PACKAGE==VERSION…     puts them first on the PATH; installs them once for
#                                                  each choice of versions

# shellcheck source=scripts/lib/packages.sh
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

find_python_tools() {
  local folder name=$1
  shift
  mkdir -p "${CARGO_TARGET_DIR:-target}"
  folder=$(realpath "${CARGO_TARGET_DIR:-target}")/$name
  if [[ $(cat "$folder/installed" 2>/dev/null) != "$*" ]]; then
    has python3 || need python3 "to run $*"
    if ! { (install_missing) && install_python_tools "$folder" "$@"; }; then return 1; fi
  fi
  PATH=$folder/bin:$PATH
}

# install_python_tools FOLDER PACKAGE==VERSION…
install_python_tools() {
  local folder=$1
  shift
  say "Installing $*"
  rm -rf "$folder"
  if ! python3 -m venv "$folder" 2>/dev/null; then
    need python3-venv "to keep these tools apart from those of the machine"
    (install_missing) && python3 -m venv --clear "$folder" || return
  fi
  "$folder/bin/pip" install --quiet --disable-pip-version-check "$@" || return
  echo "$*" >"$folder/installed"
}
