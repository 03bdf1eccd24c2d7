# Benchmarks: one binary per bench/*.cpp. scripts/bench-sketch runs update_rate.
file(GLOB PENDULA_BENCH_SOURCES CONFIGURE_DEPENDS bench/*.cpp)
foreach(source IN LISTS PENDULA_BENCH_SOURCES)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE pendula_core)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
endforeach()
