# Running GoogleTest binaries, and scripts of Python's unittest, and counting their cases: sourced
# by scripts, never run.
#
# shellcheck shell=bash disable=SC2034

passed=0 failed=0 skipped=0
test_limit=${PENDULA_TEST_LIMIT:-1500} # seconds that one binary may take

# Runs one binary; leaves NAME.log, NAME.xml, NAME.rc and NAME.seconds in RESULTS.
run_one_gtest() {
  local binary=$1 results=$2 filter=$3 rc=0 begin=$SECONDS
  shift 3
  local name=${binary##*/}
  local to=$results/$name
  mkdir -p "$to.tmp"
  local arguments=("--gtest_output=xml:$to.xml")
  if [ -n "$filter" ] && [[ $name != *"$filter"* ]]; then
    [[ $filter == *[*?:-]* ]] || filter="*$filter*"
    arguments+=("--gtest_filter=$filter")
  fi
  TMPDIR=$to.tmp TEST_TMPDIR=$to.tmp timeout -k 10 "$test_limit" \
    "$@" "$binary" "${arguments[@]}" >"$to.log" 2>&1 </dev/null || rc=$?
  echo $((SECONDS - begin)) >"$to.seconds"
  rm -rf "$to.tmp"
  echo "$rc" >"$to.rc"
}

# Adds a binary's cases to passed, failed and skipped, and shows what failed. A binary that crashed,
# or ran out of time, counts as one failed case more.
count_one_gtest() {
  local to=$1 name=${1##*/} rc cases=0 failures=0 skips=0 bad=0
  rc=$(cat "$to.rc")
  if [ -f "$to.xml" ]; then
    cases=$(grep -c 'result="completed"' "$to.xml" || true)
    skips=$(grep -c 'result="skipped"' "$to.xml" || true)
    failures=$(sed -n 's/^<testsuites .*failures="\([0-9]*\)".*/\1/p' "$to.xml")
    if [ "$rc" != 0 ] && [ "${failures:-0}" = 0 ]; then bad=1; fi
  else
    cases=$(grep -c '^\[       OK \]' "$to.log" || true)
    failures=$(grep -cE '^\[  FAILED  \] .* \([0-9]+ ms\)$' "$to.log" || true)
    cases=$((cases + failures))
    bad=1
  fi
  failures=${failures:-0}
  passed=$((passed + cases - failures))
  failed=$((failed + failures + bad))
  skipped=$((skipped + skips))
  local problem=""
  if ((bad)); then
    problem="ended with code $rc in mid-run"
    if [ "$rc" = 124 ] || [ "$rc" = 137 ]; then problem="was stopped after $(cat "$to.seconds") s"; fi
  fi
  if ((failures + bad > 0)); then
    echo "-- $name: $failures failed${problem:+; it $problem}. Its output:"
    # What led to each failure, and the last lines where it broke off.
    if ((bad)); then tail -n 40 "$to.log"; fi
    awk '/^\[ RUN      \]/ { text = "" } { text = text $0 "\n" }
         /^\[  FAILED  \].* ms\)$/ { printf "%s", text; text = "" }' "$to.log" | head -n 200
    echo "-- the whole output: $to.log"
  elif ((cases + skips > 0)); then
    echo "   $name: $cases passed$( ((skips == 0)) || echo ", $skips skipped"), $(cat "$to.seconds") s"
  fi
}

# run_gtests SLOTS FOLDER RESULTS FILTER [LAUNCHER...] -- NAME...: so many at a time.
run_gtests() {
  local slots=$1 folder=$2 results=$3 filter=$4 launcher=() running=0 name
  shift 4
  while [ "$1" != -- ]; do
    launcher+=("$1")
    shift
  done
  shift
  for name in "$@"; do
    if ((running >= slots)); then
      wait -n || true
      running=$((running - 1))
    fi
    run_one_gtest "$PWD/$folder/$name" "$PWD/$results" "$filter" "${launcher[@]}" &
    running=$((running + 1))
  done
  wait
  for name in "$@"; do count_one_gtest "$results/$name"; done
}

# Runs one script of Python's unittest; leaves NAME.log, NAME.rc and NAME.seconds in RESULTS.
run_one_unittest() {
  local python=$1 script=$2 results=$3 filter=$4 rc=0 begin=$SECONDS name select=()
  name=$(basename "$script" .py)
  if [ -n "$filter" ] && [[ $name != *"$filter"* ]]; then select=(-k "$filter"); fi
  timeout -k 10 "$test_limit" "$python" -m unittest "${select[@]}" "$script" \
    >"$results/$name.log" 2>&1 </dev/null || rc=$?
  echo $((SECONDS - begin)) >"$results/$name.seconds"
  echo "$rc" >"$results/$name.rc"
}

# Counts its cases, as count_one_gtest does.
count_one_unittest() {
  local to=$1 name=${1##*/} rc ran bad
  rc=$(cat "$to.rc")
  ran=$(sed -n 's/^Ran \([0-9]*\) tests\{0,1\} in .*/\1/p' "$to.log")
  if [ "$ran" = 0 ] && ((rc == 0 || rc == 5)); then return; fi # the filter names none of its cases
  # The last line: OK, or `FAILED (failures=1, errors=2)`.
  bad=$(awk -F '[=,)]' '/^FAILED \(/ { n = 0; for (i = 2; i <= NF; i += 2) n += $i }
                        END { print n + 0 }' "$to.log")
  if [ "$rc" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
  # A case with parts may fail more than once.
  passed=$((passed + (ran > bad ? ran - bad : 0)))
  failed=$((failed + bad))
  if [ "$bad" != 0 ]; then
    echo "-- $name: $bad failed. Its output:"
    tail -n 60 "$to.log"
  else
    echo "   $name: $ran passed, $(cat "$to.seconds") s"
  fi
}

# run_unittests SLOTS RESULTS FILTER -- PYTHON SCRIPT [PYTHON SCRIPT ...]: so many at a time.
run_unittests() {
  local slots=$1 results=$2 filter=$3 running=0 scripts=() script
  shift 4
  while [ $# -gt 0 ]; do
    if ((running >= slots)); then
      wait -n || true
      running=$((running - 1))
    fi
    run_one_unittest "$1" "$2" "$results" "$filter" &
    running=$((running + 1))
    scripts+=("$2")
    shift 2
  done
  wait
  for script in "${scripts[@]}"; do count_one_unittest "$results/$(basename "$script" .py)"; done
}
