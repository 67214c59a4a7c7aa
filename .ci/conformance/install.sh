#!/usr/bin/env bash
# Installs the WebSocket conformance suite (wstest) into one folder.
#
#   install.sh [TARGET]          default: $AUTOBAHN_DIR, else .autobahn at the
#                                top of the checkout
#
# The suite is Python 2 code, so it gets an interpreter of its own: PyPy for
# Python 2.7, taken from the last Debian release that has it and unpacked under
# TARGET without being installed on the system. The Python packages come from
# the package index that pip is set up for. Every version and checksum is fixed
# below. Nothing outside TARGET is changed but pip's cache, and root is not needed.
#
# Running it again is quick: it stops at once when TARGET is complete.
#
# Needs: Debian or a relative of it (apt, dpkg) on amd64 or arm64, python3 with pip.
# DEBIAN_MIRROR overrides the mirror found in apt's own sources; PYTHON names
# another python3.
set -euo pipefail
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=${1:-${AUTOBAHN_DIR:-$here/../../.autobahn}}
python=${PYTHON:-python3}
suite=bullseye
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf 'install: %s\n' "$*"; }
die() { printf 'install: %s\n' "$*" >&2; exit 1; }

case $target in /*) ;; *) target=$PWD/$target ;; esac
target=${target%/}
stamp=$(sha256sum "$here/$(basename "${BASH_SOURCE[0]}")" | cut -c1-64)

if [ -f "$target/.installed" ] && [ "$(cat "$target/.installed")" = "$stamp" ]; then
    say "already complete: $target"
    exit 0
fi
if [ -d "$target" ] && [ ! -f "$target/.installed" ] && [ -n "$(ls -A "$target")" ]; then
    die "$target exists, is not empty and was not made by this script; give another folder"
fi

architecture=$(dpkg --print-architecture)
"$python" -m pip --version >/dev/null 2>&1 || die "$python has no pip"

mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$target.XXXXXX")
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{bin,root,site,tmp/debs,tmp/wheels,tmp/apt/lists/partial,tmp/apt/cache/archives/partial}

# --- Debian packages: the interpreter and the libraries it wants -------------

# name version sha256
case $architecture in
amd64)
    libraries=x86_64-linux-gnu debs='
pypy       7.3.3+dfsg-2       9df6ce7c216c5a365850c43b11a11b0e042eb4deb60f181970e72c05f6b894da
pypy-lib   7.3.3+dfsg-2       df3a24b5d7cdaa5ad9637374502e7c19e3d0aa300545b197cdcc5645317c2842
libffi7    3.3-6              30ca89bfddae5fa6e0a2a044f22b6e50cd17c4bc6bc850c579819aeab7101f0f
libssl1.1  1.1.1w-0+deb11u1   aadf8b4b197335645b230c2839b4517aa444fd2e8f434e5438c48a18857988f7
libexpat1  2.2.10-2+deb11u5   5744040c4735bcdd51238aebfa3e402b857244897f1007f61154982ebe5abbd7
' ;;
arm64)
    libraries=aarch64-linux-gnu debs='
pypy       7.3.3+dfsg-2       1f64e3e83799865bb1f84068df655d86e97090e7237158f59583329f1b590757
pypy-lib   7.3.3+dfsg-2       c5bbff432108962fe3559df1de7d5b548e207cddf02466328bdff85ba3bc1e61
libffi7    3.3-6              eb748e33ae4ed46f5a4c14b7a2a09792569f2029ede319d0979c373829ba1532
libssl1.1  1.1.1w-0+deb11u1   fe7a7d313c87e46e62e614a07137e4a476a79fc9e5aab7b23e8235211280fee3
libexpat1  2.2.10-2+deb11u5   8d20bfd061845bda0321d01accd6f8386ead5b1d7250a585d12b8d5fb1408ffa
' ;;
*) die "no interpreter is known for $architecture, only for amd64 and arm64" ;;
esac

# The archives that this machine uses for its own release.
mirrors=${DEBIAN_MIRROR:-}
if [ -z "$mirrors" ]; then
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
    mirrors=$(apt-get -oAPT::Get::IndexTargets::ReleaseInfo=false indextargets \
                  --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
              awk -v codename="$codename" '
                  $3 == "main" && ($2 == codename || $2 ~ /^(old)*stable$/) && !seen[$1]++ {
                      print $1
                  }')
fi
[ -n "$mirrors" ] || die "no Debian mirror in apt's sources; set DEBIAN_MIRROR"
[ -r "$keyring" ] || die "no $keyring (package debian-archive-keyring)"

# A private apt: its own lists and cache, an empty status file so that nothing
# resolves to what the system has installed, and none of the system's hooks.
apt=$work/tmp/apt
: > "$apt/status"
cat > "$apt/apt.conf" <<C
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
C
found=
for mirror in $mirrors; do
    say "reading the package list of $suite"
    echo "deb [signed-by=$keyring] $mirror $suite main" > "$apt/sources.list"
    if apt-get -c "$apt/apt.conf" -qq update; then found=1; break; fi
done
[ -n "$found" ] || die "no mirror of apt's sources has $suite; set DEBIAN_MIRROR"
say "fetching the interpreter"
while read -r name version sum; do
    [ -n "$name" ] || continue
    (cd "$work/tmp/debs" && apt-get -c "$apt/apt.conf" -qq download "$name=$version")
    file=$(ls "$work/tmp/debs/${name}_"*.deb)
    echo "$sum  $file" | sha256sum --check --quiet || die "$name: wrong checksum"
    dpkg-deb -x "$file" "$work/root"
done <<< "$debs"
rm -rf "$work/root/usr/share"

# --- Python packages ---------------------------------------------------------

# Wheels, one checksum each. Some are built for CPython: PyPy ignores the
# compiled parts and uses the Python ones that the same wheels carry.
cat > "$work/tmp/wheels.txt" <<'R'
attrs==21.4.0           --hash=sha256:2d27e3784d7a565d36ab851fe94887c5eccd6a463168875832a1be79c82828b4
autobahntestsuite==25.10.1 --hash=sha256:b57ee6b22de624a03256878ad453c9897d2ad7ee08a4c38b35ee2847637e1383
Automat==20.2.0         --hash=sha256:b6feb6455337df834f6c9962d6ccf771515b7d939bca142b29c20c2376bc6111
constantly==15.1.0      --hash=sha256:dd2fa9d6b1a51a83f0d7dd76293d734046aa176e384bf6e33b7e44880eb37c5d
hyperlink==21.0.0       --hash=sha256:e6b14c37ecb73e89c77d78cdb4c2cc8f3fb59a885c5b3f819ff4ed80f25af1b4
idna==2.10              --hash=sha256:b97d804b1e9b523befed77c48dacec60e6dcb0b5391d57af6a65a312a90648c0
incremental==21.3.0     --hash=sha256:92014aebc6a20b78a8084cdd5645eeaa7f74b8933f70fa3ada2cfbd1e3b54321
Jinja2==2.11.3          --hash=sha256:03e47ad063331dd6a3f04a43eddca8a966a26ba0c5b7207a9a9e4e08f1b29419
MarkupSafe==1.1.1       --hash=sha256:43a55c2930bbc139570ac2452adf3d70cdbb3cfe5912c71cdce1c2c6bbd9c5d1
setuptools==44.1.1      --hash=sha256:27a714c09253134e60a6fa68130f78c7037e5562c4f21f8f318f2ae900d152d5
six==1.16.0             --hash=sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254
Twisted==20.3.0         --hash=sha256:7408c6635ee1b96587289283ebe90ee15dbf9614b05857b446055116bc822d29
typing==3.10.0.0        --hash=sha256:c7219ef20c5fbf413b4567092adfc46fa6203cb8454eda33c3fc1afe1398a308
zope.interface==5.4.0   --hash=sha256:9a9845c4c6bb56e508651f005c4aeb0404e518c6f000d5a1123ab077ab769f5c
R
# Needed only during the installation, to fetch the source archives.
cat > "$work/tmp/tools.txt" <<'R'
pip==20.3.4             --hash=sha256:217ae5161a0e08c0fb873858806e3478c9775caffce5168b50ec885e358c199d
R
# Source archives, pure Python, that have no wheel.
cat > "$work/tmp/sources.txt" <<'R'
autobahn==0.10.9        --hash=sha256:3fecc1e2a26a0421128ddcfb4e577f0bc669dd65d0e0fdad1c773965cbcef75a
txaio==2.1.0            --hash=sha256:b94e3dbc83760b68955160fc61a2c34e2798f7a90c41672560f40dfd2946a864
R

fetch_wheels() {   # fetch_wheels FILE FOLDER
    "$python" -m pip --disable-pip-version-check download --quiet --no-deps \
        --only-binary :all: --require-hashes --ignore-requires-python \
        --implementation cp --python-version 27 --abi cp27mu \
        --platform manylinux2010_x86_64 --platform manylinux1_x86_64 \
        -r "$1" -d "$2"
}
say "fetching the Python packages"
fetch_wheels "$work/tmp/wheels.txt" "$work/tmp/wheels"
fetch_wheels "$work/tmp/tools.txt" "$work/tmp/tools"
for wheel in "$work"/tmp/wheels/*.whl; do
    "$python" -m zipfile -e "$wheel" "$work/site"
done

cat > "$work/bin/pypy" <<S
#!/bin/sh
# PyPy (Python 2.7) with its own libraries.
top=\$(cd "\$(dirname "\$0")/.." && pwd)
LC_ALL=\${LC_ALL:-C.UTF-8} LD_LIBRARY_PATH=\$top/root/usr/lib/$libraries \\
    exec "\$top/root/usr/lib/pypy/bin/pypy-c" "\$@"
S
chmod 755 "$work/bin/pypy"

# The old pip reads a source archive's metadata with the old setuptools that
# was unpacked above, so a newer build tool on this machine cannot break it.
PYTHONPATH=$(ls "$work"/tmp/tools/pip-*.whl):$work/site PYTHONDONTWRITEBYTECODE=1 \
PYTHONWARNINGS=ignore PIP_NO_PYTHON_VERSION_WARNING=1 \
    "$work/bin/pypy" -m pip --disable-pip-version-check download --quiet --no-deps \
        --no-build-isolation --no-binary :all: --require-hashes \
        -r "$work/tmp/sources.txt" -d "$work/tmp/sources"
for archive in "$work"/tmp/sources/*.tar.gz; do
    name=$(basename "$archive" .tar.gz)
    tar -xzf "$archive" -C "$work/tmp/sources"
    cp -r "$work/tmp/sources/$name/${name%-*}" "$work/site/"
done

# --- the command -------------------------------------------------------------

cat > "$work/wstest.py" <<'P'
"""Starts wstest on PyPy (Python 2.7).

It differs from a plain start in three ways: no TLS stack is needed (so ws://
only), the standard unittest stands in for its backport, and listening sockets
are bound to the loopback address unless WSTEST_INTERFACE says otherwise.
"""
import os
import site
import sys
import types
import unittest

site.addsitedir(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'site'))
sys.modules.setdefault('unittest2', unittest)

import twisted.internet


class ClientContextFactory(object):
    """The suite makes one even for ws://; nothing uses it there."""


no_tls = types.ModuleType('twisted.internet.ssl')
no_tls.ClientContextFactory = ClientContextFactory
twisted.internet.ssl = sys.modules[no_tls.__name__] = no_tls

# Chooses the reactor, so it comes before anything else of Twisted.
from autobahntestsuite import wstest
from twisted.internet import reactor

listen = reactor.listenTCP
where = os.environ.get('WSTEST_INTERFACE', '127.0.0.1')


def listen_on(port, factory, backlog=50, interface=''):
    return listen(port, factory, backlog, interface or where)


reactor.listenTCP = listen_on
sys.argv[0] = 'wstest'
wstest.run()
P
cat > "$work/bin/wstest" <<'S'
#!/bin/sh
top=$(cd "$(dirname "$0")/.." && pwd)
PYTHONUNBUFFERED=1 exec "$top/bin/pypy" "$top/wstest.py" "$@"
S
chmod 755 "$work/bin/wstest"

say "trying it"
"$work/bin/wstest" --autobahnversion || die "wstest does not start"

rm -rf "$work/tmp" "$target"
echo "$stamp" > "$work/.installed"
mv -T "$work" "$target"
say "complete: $target/bin/wstest"
