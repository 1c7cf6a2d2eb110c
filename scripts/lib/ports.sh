# shellcheck shell=bash
# free_port: prints a TCP port on which nothing listens, below the ephemeral range.

free_port() {
  local port
  while port=$((20000 + RANDOM % 12000)); (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}
