#!/bin/sh
# check_tools.sh PYTHON: is there what the environment and the build need? Names what is missing.
python=$1
missing=
need() { echo "missing: $1; install it with: sudo apt install $2" >&2; missing=yes; }

if ! command -v "$python" >/dev/null; then
  need 'Python 3.11 or newer' 'python3 python3-venv python3-dev'
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "missing: Python 3.11 or newer, $python is $("$python" -V 2>&1);" \
    "install one (sudo apt install python3.11 python3.11-venv python3.11-dev)" \
    "and name it: make PYTHON=python3.11" >&2
  missing=yes
else
  version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
  "$python" -c 'import ensurepip, venv' 2>/dev/null || need "$version's venv" "$version-venv"
  "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
    need "$version's headers (Python.h)" "$version-dev"
fi
command -v make >/dev/null || need make make
command -v "${CXX:-c++}" >/dev/null || need 'a C++ compiler' g++
[ -z "$missing" ]
