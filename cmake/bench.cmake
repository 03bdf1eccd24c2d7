# `pendula bench`: bench/*.cpp and what the suite `machine` measures of the CPU. Tests link it too.
find_package(benchmark 1.7 REQUIRED)

file(GLOB PENDULA_BENCH_SOURCES CONFIGURE_DEPENDS bench/*.cpp)
add_library(pendula_bench OBJECT ${PENDULA_BENCH_SOURCES})
target_link_libraries(pendula_bench PUBLIC pendula_core benchmark::benchmark)
# The probes are compiled like the programs of kernels/, whose limits they measure.
set_source_files_properties(bench/cpu_peaks.cpp bench/memory_probe.cpp PROPERTIES
  COMPILE_OPTIONS "$<$<NOT:$<CONFIG:Debug>>:-O3>")
