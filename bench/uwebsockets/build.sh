#!/bin/sh
# Builds target/bench/uwebsockets_echo and uwebsockets_topics, servers on uWebSockets. Needs g++ and cargo.
set -eu
cd "$(dirname "$0")"
out=../../target/bench
mkdir -p "$out/uwebsockets.o"
cargo fetch --quiet
source=$(cargo metadata --format-version 1 --offline |
    python3 -c 'import json, os, sys
print(*(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == "libuwebsockets-sys"))')/uWebSockets
for file in "$source"/uSockets/src/*.c "$source"/uSockets/src/eventing/epoll_kqueue.c; do
    cc -O3 -DLIBUS_NO_SSL -I "$source/uSockets/src" -c "$file" -o "$out/uwebsockets.o/$(basename "$file").o"
done
for program in echo topics; do
    c++ -std=c++20 -O3 -flto=auto -DUWS_NO_ZLIB -DLIBUS_NO_SSL -I "$source/src" -I "$source/uSockets/src" \
        "$program.cpp" "$out"/uwebsockets.o/*.o -o "$out/uwebsockets_$program" -lpthread
done
