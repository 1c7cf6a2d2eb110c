# shellcheck shell=bash
# A private PostgreSQL and a private Redis for as long as a script runs.
#
#     source scripts/lib/servers.sh
#     find_servers                   installs what is missing
#     start_servers                  exports TEST_POSTGRES_…, TEST_REDIS_… and TEST_CERTIFICATES
#     run_command cargo test         ends it, and all it started, when the script is told to stop
#
# All they write is in one temporary folder, `$servers_folder`. However the script ends, the
# servers and the folder go with it: by its exit trap, or by a watcher if it is killed outright.

# shellcheck source=scripts/lib/packages.sh
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"
# shellcheck source=scripts/lib/postgres-programs.sh
source "$(dirname "${BASH_SOURCE[0]}")/postgres-programs.sh"

servers_folder=
server_user=
# `on` for the tests.
postgres_tls=off
watcher=

# find_servers MAJOR: of PostgreSQL, or "" for the newest on this machine.
find_servers() {
  find_redis || need redis-tools "the Redis that the tests use (as a program, not as a service)"
  [[ -n $1 ]] || find_postgres || need postgresql "the database that the tests use"
  install_missing

  find_redis || fail "The program redis-server can't be found. Please install Redis."
  if [[ $1 == 18 ]]; then
    find_postgres 18 || fetch_postgres_18
  else
    find_postgres "$1" || fail "PostgreSQL $1 is not on this machine, and only 18 can be fetched."
    postgres_is_new_enough || fail "PostgreSQL $postgres_major is too old for the tests:" \
      "please install a newer one, or add --postgres 18 to have one fetched."
  fi
}

# Debian's redis-tools has the server's program too, under the name of the tool that shares it:
# it acts as a server when it is called one.
find_redis() {
  redis_program=$(command -v redis-server || command -v redis-check-rdb)
}

start_servers() {
  [[ -n $servers_folder ]] || make_servers_folder
  [[ $postgres_tls == off ]] || make_certificates || fail "The certificates could not be made."
  make_postgres_cluster || fail "The PostgreSQL cluster could not be made."
  start_postgres || fail "PostgreSQL did not start."
  start_redis || fail "Redis did not start."
}

# The environment variables that tests read, as lines for a shell.
print_exports() {
  export -p | sed -nE 's/^declare -x (TEST_(POSTGRES_|REDIS_|CERTIFICATES))/export \1/p'
}

# run_command COMMAND…: like COMMAND…, but whatever it starts ends with it, or with this script.
run_command() {
  local status=0
  set -m # a process group of its own
  "$@" <&0 &
  echo "-$!" >"$servers_folder/command.pid"
  set +m
  wait "$!" || status=$?
  stop command TERM
  return "$status"
}

# --- the folder, and the end of everything in it ---

make_servers_folder() {
  choose_server_user
  trap stop_servers EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM

  local parent
  parent=$(cd "${TMPDIR:-/tmp}" && pwd)
  # The path of a Unix socket can't be longer than about a hundred characters.
  if ((${#parent} > 50)) || ! server_user_can_enter "$parent"; then parent=/tmp; fi
  servers_folder=$(mktemp -d "$parent/discogsography-XXXXXX")
  watch_over_servers

  # Anyone may enter, nobody may list: what is inside belongs to the user who runs the servers.
  chmod 711 "$servers_folder"
  mkdir -m 700 "$servers_folder/postgres" "$servers_folder/redis"
  if ((EUID == 0)); then chown "$server_user" "$servers_folder/postgres" "$servers_folder/redis"; fi
}

# PostgreSQL refuses to run as root.
choose_server_user() {
  server_user=$(id -un)
  ((EUID == 0)) || return 0
  has setpriv || fail "As root this needs setpriv (of util-linux). Please run it as another user."
  server_user=nobody
  if id postgres >/dev/null 2>&1; then server_user=postgres; fi
}

server_user_can_enter() (
  exec_as_server_user test -x "$1"
)

exec_as_server_user() {
  ((EUID == 0)) || exec "$@"
  exec setpriv --reuid="$(id -u "$server_user")" --regid="$(id -g "$server_user")" --clear-groups "$@"
}

stop_servers() {
  trap '' HUP INT TERM
  if [[ -n $watcher ]]; then kill -KILL -- "-$watcher" 2>/dev/null || true; fi
  end_servers
  servers_folder=
}

end_servers() {
  [[ -n $servers_folder ]] || return 0
  # All are told first and waited for then: an orphan can take a while to vanish.
  tell command TERM
  tell postgres QUIT # to end without a checkpoint, as its data is thrown away
  tell redis TERM
  await_end command
  await_end postgres
  await_end redis
  rm -rf "$servers_folder"
}

# Does what the exit trap would do, when the script was killed and can't.
watch_over_servers() {
  set -m # out of reach of Ctrl-C
  {
    set +m
    while kill -0 "$$" 2>/dev/null; do sleep 1; done
    end_servers || true
    # A cluster that was just being made may still have been writing.
    while [[ -d $servers_folder ]]; do sleep 1; rm -rf "$servers_folder"; done
  } </dev/null >/dev/null 2>&1 &
  watcher=$!
  set +m
  disown "$watcher"
}

# --- processes: NAME is postgres, redis or command ---

# launch_server NAME COMMAND…: as the unprivileged user, in its folder; its output goes to a log.
launch_server() {
  local name=$1
  shift
  set -m # out of reach of Ctrl-C
  (cd "$servers_folder/$name" && exec_as_server_user "$@") \
    </dev/null >>"$servers_folder/$name.log" 2>&1 &
  echo "$!" >"$servers_folder/$name.pid"
  set +m
  disown "$!"
}

# await_server NAME IS_READY: fails when the server ends instead, or isn't ready within a minute.
await_server() {
  local deadline=$((SECONDS + 60))
  until "$2"; do
    is_running "$1" && ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

is_running() {
  kill -0 -- "$(pid_of "$1")" 2>/dev/null
}

pid_of() {
  cat "$servers_folder/$1.pid"
}

# stop NAME SIGNAL
stop() {
  tell "$1" "$2"
  await_end "$1"
}

# tell NAME SIGNAL
tell() {
  [[ ! -s $servers_folder/$1.pid ]] || kill "-$2" -- "$(pid_of "$1")" 2>/dev/null || true
}

# await_end NAME: what is still there after five seconds is ended by force.
await_end() {
  [[ -s $servers_folder/$1.pid ]] || return 0
  local deadline=$((SECONDS + 5))
  while is_running "$1" && ((SECONDS < deadline + 2)); do
    if ((SECONDS >= deadline)); then tell "$1" KILL; fi
    sleep 0.05
  done
  rm -f "$servers_folder/$1.pid"
}

# on_a_free_port LAUNCH IS_READY NAME: a taken port ends the server at once, so the next is tried.
on_a_free_port() {
  local try
  for try in 1 2 3 4 5; do
    # Below the ports that systems hand out for outgoing connections.
    "$1" $((20000 + RANDOM % 12000))
    if await_server "$3" "$2"; then return 0; fi
    stop "$3" KILL
  done
  say "$3 failed $try times. Its last words:"
  tail -n 20 "$servers_folder/$3.log" >&2
  return 1
}

# --- certificates ---

# A CA, what it signed for a server called `localhost`, and a CA that signed nothing.
make_certificates() {
  export TEST_CERTIFICATES=$servers_folder/certificates
  mkdir -m 700 "$TEST_CERTIFICATES"
  (
    cd "$TEST_CERTIFICATES" && make_authority ca && make_authority other-ca &&
      openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
        -keyout server.key -out server.csr &&
      openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
        -extfile <(echo subjectAltName=DNS:localhost) -out server.pem
  ) >"$servers_folder/certificates.log" 2>&1 || {
    tail -n 20 "$servers_folder/certificates.log" >&2
    return 1
  }
}

# make_authority NAME
make_authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -subj "/CN=$1" -keyout "$1.key" -out "$1.pem"
}

# --- PostgreSQL ---

make_postgres_cluster() {
  let_server_user_read_postgres
  export TEST_POSTGRES_USERNAME=tester TEST_POSTGRES_PASSWORD
  TEST_POSTGRES_PASSWORD=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  (
    umask 022
    cd "$servers_folder/postgres" && echo "$TEST_POSTGRES_PASSWORD" >password &&
      exec_as_server_user "$postgres_bin/initdb" --pgdata=data \
        --username="$TEST_POSTGRES_USERNAME" --pwfile=password \
        --auth-host=scram-sha-256 --auth-local=trust \
        --encoding=UTF8 --locale=C --no-sync --no-instructions
  ) >"$servers_folder/initdb.log" 2>&1 || {
    tail -n 20 "$servers_folder/initdb.log" >&2
    return 1
  }
}

# Programs that were fetched can lie below a folder that only root may enter.
let_server_user_read_postgres() {
  server_user_can_enter "$postgres_bin" && return
  (umask 022 && cp -R "$(dirname "$postgres_bin")" "$servers_folder/postgres-programs")
  postgres_bin=$servers_folder/postgres-programs/bin
}

start_postgres() {
  [[ $postgres_tls == off ]] || install_postgres_certificate || return
  on_a_free_port launch_postgres postgres_is_ready postgres || return
  export TEST_POSTGRES_ADDRESS=127.0.0.1:$postgres_port
  export TEST_POSTGRES_SOCKET=$servers_folder/postgres
}

# PostgreSQL takes no key that others own or may read.
install_postgres_certificate() {
  install -m 600 "$TEST_CERTIFICATES/server.pem" "$TEST_CERTIFICATES/server.key" \
    "$servers_folder/postgres"
  ((EUID != 0)) || chown "$server_user" "$servers_folder/postgres/"server.{pem,key}
}

# launch_postgres PORT
launch_postgres() {
  postgres_port=$1
  launch_server postgres "$postgres_bin/postgres" -D data -p "$1" \
    -c listen_addresses=127.0.0.1 -c unix_socket_directories="$servers_folder/postgres" \
    -c max_connections=400 -c ssl="$postgres_tls" \
    -c ssl_cert_file=../server.pem -c ssl_key_file=../server.key \
    -c fsync=off -c full_page_writes=off
}

# As the first and eighth lines of its pid file say, so that it is this server and no other.
postgres_is_ready() {
  local file=$servers_folder/postgres/data/postmaster.pid
  [[ $(sed -n '1p;8p' "$file" 2>/dev/null) == "$(pid_of postgres)"$'\n'ready* ]]
}

# --- Redis ---

start_redis() {
  ln -sf "$redis_program" "$servers_folder/redis-server"
  on_a_free_port launch_redis redis_is_ready redis || return
  export TEST_REDIS_URL=redis://127.0.0.1:$redis_port/0
  export TEST_REDIS_SERVER=$servers_folder/redis-server
}

# launch_redis PORT
launch_redis() {
  redis_port=$1
  launch_server redis "$servers_folder/redis-server" --port "$1" --bind 127.0.0.1 \
    --save '' --appendonly no --daemonize no
}

# Asks for the process id, so that another server on the same port is not taken for ours.
redis_is_ready() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$redis_port" || exit
    printf 'INFO server\r\nQUIT\r\n' >&3
    while read -r -t 5 line <&3; do
      [[ ${line%$'\r'} == "process_id:$(pid_of redis)" ]] && exit 0
    done
    exit 1
  ) 2>/dev/null
}
