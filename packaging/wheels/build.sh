#!/bin/sh
# Builds the wheels and the source distribution into a folder, by default target/wheels.
#
#   build.sh [-o FOLDER] [-p PROFILE] [-z] [VERSION...]
#
#   -z          links by zig (pip install ziglang) against the glibc of manylinux_2_17, so that the wheels run on
#               nearly every Linux; without it they run where the glibc is at least as new as this machine's
#   -p PROFILE  cargo's profile, by default release
#   VERSION     3.9 to 3.15, 3.14t; by default all. Their interpreters need not be installed.
set -eu
cd "$(dirname "$0")/../.."

usage() { sed -n '2,/^set/{/^set/d; s/^# \{0,1\}//; p}' "$0" >&2; exit 2; }

folder=target/wheels profile=release portable=
target=${CARGO_BUILD_TARGET:-$(uname -m)-unknown-linux-gnu}
case $target in *-musl) oldest=musllinux_1_2 ;; *) oldest=manylinux_2_17 ;; esac
while getopts o:p:z option; do
    case $option in
        o) folder=$OPTARG ;;
        p) profile=$OPTARG ;;
        z) portable="--zig --compatibility $oldest" ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- 3.9 3.10 3.11 3.12 3.13 3.14 3.15 3.14t
interpreters=
for version; do interpreters="$interpreters -i python$version"; done

python=${PYTHON:-python3}
"$python" -m maturin --version >/dev/null 2>&1 ||
    { echo "build.sh: $python has no maturin; set PYTHON to one that has: pip install maturin ziglang" >&2; exit 1; }
"$python" -m maturin sdist --manifest-path python/Cargo.toml --out "$folder"
# A target that is named lets maturin take what it knows of each version instead of asking an interpreter.
"$python" -m maturin build --manifest-path python/Cargo.toml --out "$folder" --profile "$profile" \
    --target "$target" $portable $interpreters
