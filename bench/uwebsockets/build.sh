#!/bin/sh
# Builds target/bench/uwebsockets, an echo server on uWebSockets. Needs g++ and cargo.
set -eu
cd "$(dirname "$0")"
out=../../target/bench/uwebsockets
mkdir -p "$out.o"
cargo fetch --quiet
source=$(cargo metadata --format-version 1 --offline |
    python3 -c 'import json, os, sys
print(*(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == "libuwebsockets-sys"))')/uWebSockets
for file in "$source"/uSockets/src/*.c "$source"/uSockets/src/eventing/epoll_kqueue.c; do
    cc -O3 -DLIBUS_NO_SSL -I "$source/uSockets/src" -c "$file" -o "$out.o/$(basename "$file").o"
done
c++ -std=c++20 -O3 -flto=auto -DUWS_NO_ZLIB -DLIBUS_NO_SSL -I "$source/src" -I "$source/uSockets/src" \
    echo.cpp "$out.o"/*.o -o "$out" -lpthread
