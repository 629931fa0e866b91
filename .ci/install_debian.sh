#!/bin/sh
# usage: install_debian.sh COMMAND "PACKAGES" "WHAT IS MISSING WITHOUT"
# Install Debian packages that only some tests need, unless COMMAND is there; where that is not possible, those tests
# are skipped, and say why.
available() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]; }
available "$1" && exit 0
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo -n"
if command -v apt-get >/dev/null && $sudo true 2>/dev/null; then
  echo "installing $2 with apt-get"
  # shellcheck disable=SC2086  # one word per package
  { $sudo apt-get update && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y --no-install-recommends $2; } >/dev/null 2>&1
fi
available "$1" || echo "make: $1 is not installed: $3"
exit 0
