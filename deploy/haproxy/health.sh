#!/bin/sh
# Succeeds while a server is ready. HAProxy's images have wget (Alpine) or bash (Debian).
if command -v wget >/dev/null; then
  exec wget -q -O /dev/null http://127.0.0.1:8404/health
fi
exec bash -c '
  exec 3<>/dev/tcp/127.0.0.1/8404
  printf "GET /health HTTP/1.0\r\n\r\n" >&3
  read -r _ status _ <&3
  [ "$status" = 200 ]
'
