"""What runs in the agent's container: a shell script around the agent, and the hook that lets the others start.

Any image will do that has sh and the bao or vault binary. All paths are in the agent's own volume, in memory.
"""

from __future__ import annotations

from airflow_k8s_vault.delivery.agent.failure import FAILURE, KILLED

# The leases of variables, three lines each; written by the agent where the task has a limit.
LEASES = "/vault/agent/leases"
CHECKED = "/vault/agent/checked"
# The variables that hold the agent's configuration, in parts: CONFIG, CONFIG_1, CONFIG_2, …
CONFIG = "AGENT_CONFIG"
# The variable that holds that limit, in seconds.
LIMIT = "AGENT_LIMIT"
# Vault counts in whole seconds and has spent some of them by the time it answers.
_ROUNDING_SECONDS = 5
# How often is looked whether a file is there, by a program that is started each time.
_LOOK_SECONDS = 0.02

# The token, and every token before it should the agent have had to log in again, is revoked on SIGTERM (the
# kubelet sends it when the other containers have ended) and when the agent gives up before the pod started.
# Later on a failing agent is started again: the main process still holds credentials of the first login.
# A container that starts a second time finds the files of the first: what that one rendered must not start a main
# process, since its token is revoked. `clean` names the start (of process 1, in ticks) that has looked after this.
#
# `check` asks Vault to let the leases live as long as the task may: what a variable holds is never replaced. It
# asks that of the token, too, only to learn how long it can live, and then takes that back: a token that nobody
# renews, as on a lost node, has to end soon. Without an increment Vault gives it what it gave at the login, which
# is done while the leases are looked at. Where the role may not ask, nothing is known and nothing is refused.
# Each of these requests starts Vault's program, which takes longer than the request: there are no more than it
# takes.
SCRIPT = f"""\
remember() {{
  [ ! -s token ] || {{ cat token && echo; }} >> tokens
}}
revoke() {{
  remember
  [ -s tokens ] || return 0
  # One that Vault did not revoke, since it did not answer, stays for the next start of the container.
  sort -u tokens | while read -r token; do
    VAULT_TOKEN=$token "$vault" token revoke -self >&2 || echo "$token"
  done > left
  mv left tokens
  rm -f token
}}
empty() {{
  # Names that begin with a dot, too.
  rm -f /vault/env/* /vault/files/*/* /vault/files/*/.[!.]*
}}
stop() {{
  # A login that is under way would leave a token that nobody knows: wait, 4 s at most, for the agent to have it.
  tries=0
  while [ ! -s token ] && [ $tries -lt 20 ] && kill -0 $agent 2>/dev/null; do
    tries=$((tries + 1))
    sleep 0.2
  done
  [ -z "$agent" ] || {{ kill "$agent" 2>/dev/null; wait "$agent"; }}
  revoke
  [ ! -s tokens ] || revoke
  exit 0
}}
too_short() {{
  [ -n "$2" ] && [ "$2" -lt $((AGENT_LIMIT - {_ROUNDING_SECONDS})) ] || return 0
  echo "{FAILURE} $1 lives for $2 s at most, and the task may run for $AGENT_LIMIT s: raise its max_ttl in \
Vault, or lower the task's execution_timeout" >> refused
}}
check() {{
  until [ -s token ]; do sleep {_LOOK_SECONDS}; done
  VAULT_TOKEN=$(cat token)
  export VAULT_TOKEN
  renew="$vault write -force -field=token_duration auth/token/renew-self"
  {{ too_short "the login, and with it every lease," "$($renew "increment=$AGENT_LIMIT")"; $renew > /dev/null; }} &
  until [ -e leases ]; do sleep {_LOOK_SECONDS}; done
  while read -r seconds renewable && read -r lease && read -r path; do
    if [ "$renewable" = true ] && [ "$seconds" -lt "$AGENT_LIMIT" ]; then
      seconds=$("$vault" write -field=lease_duration sys/leases/renew "lease_id=$lease" "increment=$AGENT_LIMIT")
    fi
    too_short "the lease of '$path'" "$seconds"
  done < leases
  wait
  [ ! -e refused ] || {{ kill "$1"; return; }}
  : > checked
}}
umask 077
cd /vault/agent || exit 1
if command -v bao >/dev/null 2>&1; then vault=bao; else vault=vault; fi
agent=
trap stop TERM INT
if [ -n "${{AGENT_CACERT-}}" ]; then
  printf '%s' "$AGENT_CACERT" > ca.pem
  export VAULT_CACERT=/vault/agent/ca.pem
fi
part=AGENT_CONFIG
count=0
: > agent.json
while eval "text=\\${{$part-}}" && [ -n "$text" ]; do
  printf '%s' "$text" >> agent.json
  unset "$part"
  count=$((count + 1))
  part=AGENT_CONFIG_$count
done
unset text
remember
rm -f token
if [ ! -e started ]; then
  empty
  rm -f leases refused checked
  if [ -e begun ]; then
    # Killed before it was done, all of it or the agent alone, and perhaps before it knew of its login: no second
    # one. The kubelet would pause after the next kill, with nobody there to end what that one logged in for.
    revoke
    echo "{KILLED}"
    exit 137
  fi
fi
: > begun
cut -d' ' -f22 /proc/1/stat > clean
while :; do
  "$vault" agent -config=agent.json ${{AGENT_LOG_LEVEL:+"-log-level=$AGENT_LOG_LEVEL"}} &
  agent=$!
  [ -z "${{AGENT_LIMIT-}}" ] || [ -e started ] || check "$agent" 2>/dev/null &
  wait "$agent"
  status=$?
  if [ ! -e started ]; then
    empty
    revoke
    [ ! -e refused ] || {{ cat refused >&2; rm -f begun; exit 1; }}
    [ "$status" -gt 128 ] || rm -f begun
    exit "$status"
  fi
  remember
  # Waited for, since a shell hears no signal during a command: an evicted pod has 2 s.
  sleep 5 &
  wait $!
done
"""

# A hook, not a startupProbe: that counts in whole seconds. It is done once all files that it was given exist.
WAIT_FOR_FILES = f"""\
start=$(cut -d' ' -f22 /proc/1/stat)
until [ "$(cat /vault/agent/clean 2>/dev/null)" = "$start" ]; do sleep {_LOOK_SECONDS}; done
for file in "$@"; do
  until [ -e "$file" ]; do sleep {_LOOK_SECONDS}; done
done
: > /vault/agent/started
"""
