#!/usr/bin/env bash
# A real Slurm (munged + slurmctld + slurmd) on this one machine, loopback only.
#
#   slurm_single_node.sh install          # apt: slurm-wlm, munge (root, once)
#   slurm_single_node.sh start            # idempotent: starts what is not running, waits for an idle node
#   eval "$(slurm_single_node.sh env)"    # SLURM_CONF, PATH (sacct stand-in) for sbatch/squeue/submitit
#   slurm_single_node.sh status | stop
#
# All state (keys, config, logs, pid files, spool) lives under $SLURM_HOME; nothing in /etc is read or written.
# `stop` ends only the daemons whose pid files this script wrote. Meant for tests, not for production.
set -euo pipefail

SLURM_HOME="${SLURM_HOME:-${XDG_STATE_HOME:-$HOME/.local/state}/slurm-single-node}"
CTLD_PORT="${SLURM_TEST_CTLD_PORT:-26817}"
SLURMD_PORT="${SLURM_TEST_SLURMD_PORT:-26818}"
CPUS="${SLURM_TEST_CPUS:-$(nproc)}"
# 90 % of what the machine has, in MiB: slurmd drains a node that promises more than it has.
MEM_MB="${SLURM_TEST_MEM_MB:-$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)}"
ME="$(id -un)"
export PATH="$PATH:/usr/sbin"
export SLURM_CONF="$SLURM_HOME/slurm.conf"

say() { printf 'slurm_single_node: %s\n' "$*" >&2; }

alive() { # alive PIDFILE NAME: the pid in PIDFILE runs and its program is NAME
  local pid
  pid="$(cat "$1" 2>/dev/null)" || return 1
  [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ]
}

install() {
  if command -v slurmctld slurmd sbatch munged >/dev/null; then say "already installed"; return; fi
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends slurm-wlm munge
}

write_config() {
  mkdir -p "$SLURM_HOME"/{munge,state,spool,log,bin}
  chmod 700 "$SLURM_HOME" "$SLURM_HOME/munge"
  if [ ! -s "$SLURM_HOME/munge/key" ]; then
    (umask 077; head -c 1024 /dev/urandom > "$SLURM_HOME/munge/key")
  fi
  cat > "$SLURM_CONF" <<EOF
ClusterName=single
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$CTLD_PORT
SlurmdPort=$SLURMD_PORT
# Loopback only: neither daemon listens on INADDR_ANY.
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
# Credentials expire soon: a requeued job waits that long before it starts again.
AuthInfo=socket=$SLURM_HOME/munge/socket,cred_expire=10
CredType=cred/munge
MpiDefault=none
SlurmUser=$ME
SlurmdUser=$ME
SlurmctldPidFile=$SLURM_HOME/slurmctld.pid
SlurmdPidFile=$SLURM_HOME/slurmd.pid
SlurmctldLogFile=$SLURM_HOME/log/slurmctld.log
SlurmdLogFile=$SLURM_HOME/log/slurmd.log
StateSaveLocation=$SLURM_HOME/state
SlurmdSpoolDir=$SLURM_HOME/spool
# No cgroups, no task plugin: works in containers.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=$((MEM_MB / CPUS))
SchedulerParameters=batch_sched_delay=0,sched_interval=2
KillWait=5
MinJobAge=3600
ReturnToService=2
SlurmdTimeout=300
NodeName=localhost NodeAddr=127.0.0.1 CPUs=$CPUS RealMemory=$MEM_MB State=UNKNOWN
PartitionName=debug Nodes=localhost Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
EOF
  # submitit polls `sacct`, which needs a database daemon. This stand-in answers the same
  # question from the controller's own records (kept MinJobAge seconds after a job ends).
  cat > "$SLURM_HOME/bin/sacct" <<'EOF'
#!/usr/bin/env bash
# sacct -o JobID,State,NodeList --parsable2 -j ID [-j ID ...]   (the only form submitit uses)
ids=()
while [ $# -gt 0 ]; do
  case "$1" in -j) ids+=("$2"); shift 2 ;; *) shift ;; esac
done
echo "JobID|State|NodeList"
for id in "${ids[@]}"; do
  scontrol --oneliner show job "$id" 2>/dev/null | awk '
    function get(k,  i) { for (i = 1; i <= NF; i++) if (index($i, k "=") == 1) return substr($i, length(k) + 2); return "" }
    { a = get("ArrayJobId"); t = get("ArrayTaskId"); id = (a == "" || a == "0") ? get("JobId") : a "_" (t ~ /^[0-9]+$/ ? t : "[" t "]")
      print id "|" get("JobState") "|" get("NodeList") }'
done
EOF
  chmod +x "$SLURM_HOME/bin/sacct"
}

start() {
  command -v slurmctld slurmd sbatch munged >/dev/null || { say "not installed: run '$0 install'"; exit 1; }
  write_config
  if ! alive "$SLURM_HOME/munge/pid" munged; then
    rm -f "$SLURM_HOME"/munge/socket* 
    munged --force --key-file="$SLURM_HOME/munge/key" --socket="$SLURM_HOME/munge/socket" \
      --pid-file="$SLURM_HOME/munge/pid" --log-file="$SLURM_HOME/log/munged.log" --seed-file="$SLURM_HOME/munge/seed"
  fi
  alive "$SLURM_HOME/slurmctld.pid" slurmctld || slurmctld -f "$SLURM_CONF"
  alive "$SLURM_HOME/slurmd.pid" slurmd || slurmd -N localhost -f "$SLURM_CONF"
  for _ in $(seq 60); do
    case "$(sinfo --noheader --nodes=localhost --format=%T 2>/dev/null | head -1)" in
      idle|mixed|allocated) say "node ready"; return ;;
      down*|drain*) scontrol update nodename=localhost state=resume 2>/dev/null || true ;;
    esac
    sleep 0.5
  done
  say "the node did not come up; last lines of the logs:"; tail -n 20 "$SLURM_HOME"/log/*.log >&2; exit 1
}

stop() {
  local f n
  for n in slurmd slurmctld munged; do
    f="$SLURM_HOME/$n.pid"; [ "$n" = munged ] && f="$SLURM_HOME/munge/pid"
    if alive "$f" "$n"; then kill "$(cat "$f")"; fi
    for _ in $(seq 50); do alive "$f" "$n" || break; sleep 0.2; done
  done
}

status() { sinfo; squeue; }

env_() { printf 'export SLURM_CONF=%q\nexport PATH=%q:"$PATH"\n' "$SLURM_CONF" "$SLURM_HOME/bin"; }

case "${1:-}" in
  install | start | stop | status) "$1" ;;
  env) env_ ;;
  *) sed -n '2,10p' "$0"; exit 2 ;;
esac
