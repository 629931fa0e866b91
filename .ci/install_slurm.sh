#!/bin/sh
# Install Slurm and munge, with which tests/cluster starts a cluster on this machine; where that is not possible, those
# tests are skipped, and say why.
command -v slurmctld >/dev/null || [ -x /usr/sbin/slurmctld ] && exit 0
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo -n"
if command -v apt-get >/dev/null && $sudo true 2>/dev/null; then
  echo "installing slurm-wlm and munge with apt-get"
  { $sudo apt-get update && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y --no-install-recommends slurm-wlm munge; } >/dev/null 2>&1
fi
command -v slurmctld >/dev/null || [ -x /usr/sbin/slurmctld ] || echo "make: Slurm is not installed: the tests of hydra/launcher=slurm are skipped"
exit 0
