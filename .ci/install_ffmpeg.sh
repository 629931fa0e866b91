#!/bin/sh
# Install FFmpeg with whatever package manager is here, or say in one line how to.
set -u
quiet() { "$@" >/dev/null 2>&1; }
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo -n"
if command -v apt-get >/dev/null; then
  echo "installing ffmpeg with apt-get"
  quiet $sudo apt-get update
  quiet env DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y --no-install-recommends ffmpeg
elif command -v brew >/dev/null; then
  echo "installing ffmpeg with brew"
  quiet brew install ffmpeg
elif command -v conda >/dev/null; then
  echo "installing ffmpeg with conda"
  quiet conda install -y -c conda-forge ffmpeg
fi
command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null && exit 0
echo "make: ffmpeg and ffprobe are not on PATH and could not be installed here;" \
  "install FFmpeg yourself (apt-get install ffmpeg | brew install ffmpeg | conda install -c conda-forge ffmpeg) and run make again" >&2
exit 1
