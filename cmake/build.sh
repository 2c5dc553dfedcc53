#!/bin/sh
# build.sh SOURCE BUILD PREFIX [CMake options]: configure once, build, install. Quiet unless it fails.
source=$1 build=$2 prefix=$3
shift 3
mkdir -p "$build" && touch "$build/AMENT_IGNORE"  # linters of the package read sources alone
{
  [ -f "$build/build.ninja" ] || cmake -S "$source" -B "$build" -G Ninja \
    -DCMAKE_INSTALL_PREFIX="$prefix" -DPython3_EXECUTABLE="$prefix/bin/python3" \
    -DAMENT_CMAKE_SYMLINK_INSTALL=1 -DBUILD_TESTING=OFF "$@"
} > "$build/log.txt" 2>&1 && cmake --build "$build" --target install >> "$build/log.txt" 2>&1 ||
  { cat "$build/log.txt" >&2; exit 1; }
