# `pendula bench`: bench/*.cpp and what the suite `machine` measures of the CPU. Tests link it too.
find_package(benchmark 1.7 REQUIRED)

file(GLOB PENDULA_BENCH_SOURCES CONFIGURE_DEPENDS bench/*.cpp)
list(FILTER PENDULA_BENCH_SOURCES EXCLUDE REGEX "/cpu_peaks\\.cpp$")
add_library(pendula_bench STATIC ${PENDULA_BENCH_SOURCES})
target_link_libraries(pendula_bench PUBLIC pendula_core benchmark::benchmark)
# Compiled like the programs of kernels/, whose limits they measure.
pendula_add_level_objects(pendula_bench bench/cpu_peaks.cpp)
set_source_files_properties(bench/memory_probe.cpp PROPERTIES
  COMPILE_OPTIONS "$<$<NOT:$<CONFIG:Debug>>:-O3>")

# The configs of the suite `race`, as text in the binary.
foreach(pair "WORKLOAD bench/peers/workload.json" "PENDULUM configs/pendulum.json"
        "CARTPOLE configs/cartpole.json" "SWINGUP configs/cartpole-swingup.json")
  string(REPLACE " " ";" pair ${pair})
  list(GET pair 0 name)
  list(GET pair 1 path)
  file(READ ${path} PENDULA_RACE_${name})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
endforeach()
configure_file(cmake/race_configs.cpp.in ${PROJECT_BINARY_DIR}/generated/race_configs.cpp @ONLY)
target_sources(pendula_bench PRIVATE ${PROJECT_BINARY_DIR}/generated/race_configs.cpp)
