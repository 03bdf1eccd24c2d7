# Shared by the scripts of this folder: sourced by them, never run.
#
# Sets `root` (the checkout), `cores`, and moves to root. PENDULA_JOBS limits the parallel compilers.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
cores=$(nproc 2>/dev/null || echo 2)
jobs=${PENDULA_JOBS:-$cores}

say() { echo "${0##*/}: $*" >&2; }
fail() {
  say "$*"
  exit 1
}

# usage: prints the comment at the top of the script that calls it.
usage() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$1"; }

# nvcc is on the PATH, or where the toolkit's installer puts it.
have_nvcc() {
  command -v nvcc >/dev/null && return 0
  [ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ] || return 1
  PATH="$PATH:${CUDA_HOME:-/usr/local/cuda}/bin"
}

# quiet LOG COMMAND...: the output goes to LOG and is shown only on failure.
quiet() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  if "$@" >"$log" 2>&1; then return 0; fi
  grep -E -A6 '(^|[^_])(error|Error|FAILED)' "$log" | head -60 >&2 || true
  say "failed: $* (the whole output: $log)"
  return 1
}

# The simulator's sources: an absolute path, or nothing where there are none.
simulator_sources() {
  [ -n "${PENDULA_CUDASIM:-}" ] && [ -f "$PENDULA_CUDASIM/CMakeLists.txt" ] || return 1
  (cd "$PENDULA_CUDASIM" && pwd)
}

# Builds the simulator; its launcher is build/cudasim/cudasim-run.
build_simulator() {
  local sources
  sources=$(simulator_sources) || fail "PENDULA_CUDASIM names no simulator: ${PENDULA_CUDASIM:-(not set)}"
  quiet build/log/cudasim-configure cmake -S "$sources" -B build/cudasim -G Ninja || return 1
  quiet build/log/cudasim-build cmake --build build/cudasim -j "$jobs"
}

# Builds everything that tests need into build/test. With the argument `simulator` CUDA too, as PTX
# for compute_90 alone, which the simulator runs; the host's objects are the same either way.
build_tests() {
  local options=(-DPENDULA_CUDA=OFF)
  if [ "${1:-}" = simulator ]; then
    options=(-DPENDULA_CUDA=ON -DPENDULA_CUDA_ARCHITECTURES=90-virtual
      "-DPENDULA_CUDA_LAUNCHER=$root/build/cudasim/cudasim-run")
  fi
  # Warnings are errors in CI, but for those of g++ 12 that std::string's own operator+ sets off.
  if [ "${CI:-}" = true ]; then
    options+=(-DPENDULA_WERROR=ON "-DCMAKE_CXX_FLAGS=-Wno-error=array-bounds -Wno-error=stringop-overflow")
  fi
  quiet build/log/test-configure cmake -S . -B build/test -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DPENDULA_NATIVE=ON -DPENDULA_TESTS=ON \
    "${options[@]}" || return 1
  quiet build/log/test-build cmake --build build/test -j "$jobs"
}

# stage NAME: prints the time of the stage before, and begins the next. `stage` alone ends the last.
stage_name=""
stage() {
  if [ -n "$stage_name" ]; then echo "== $stage_name: $((SECONDS - stage_begin)) s"; fi
  stage_name=${1:-}
  stage_begin=$SECONDS
}

# json_string TEXT: TEXT as a JSON string, control characters dropped.
json_string() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "$(tr -d '\000-\037' <<<"$text")"
}

# The processor's name.
cpu_name() {
  local name
  name=$(sed -n 's/^model name[[:space:]]*: *//p' /proc/cpuinfo 2>/dev/null | head -n 1)
  echo "${name:-not measured}"
}
