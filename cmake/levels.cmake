# The levels of the processor's instructions that the CPU's programs are compiled for; host/simd.h has
# the same list, and chooses at start.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(PENDULA_LEVELS sse2 avx2 avx512)
else()
  set(PENDULA_LEVELS portable)
endif()
# The level alone says what the objects may use, whatever CMAKE_CXX_FLAGS say.
set(PENDULA_FLAGS_sse2 -march=x86-64)
set(PENDULA_FLAGS_avx2 -march=x86-64 -mavx2 -mfma)
set(PENDULA_FLAGS_avx512 -march=x86-64 -mavx2 -mfma -mavx512f -mavx512vl -mavx512dq -mavx512bw)

# pendula_add_level_objects(TARGET SOURCE...): compiles the sources once per level, into TARGET. What
# they define must stand in the level's namespace (kernels/platform.h): tests/levels_test.cpp, which
# sees the targets that are there when cmake/tests.cmake is read, fails otherwise.
function(pendula_add_level_objects target)
  foreach(level IN LISTS PENDULA_LEVELS)
    add_library(${target}_${level} OBJECT ${ARGN})
    target_link_libraries(${target}_${level} PRIVATE pendula_flags)
    target_compile_options(${target}_${level} PRIVATE  # without -O1 std:: functions are not inlined
      $<IF:$<CONFIG:Debug>,-O1,-O3> ${PENDULA_FLAGS_${level}})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_${level}>)
    set_property(GLOBAL APPEND PROPERTY PENDULA_LEVEL_TARGETS_${level} ${target}_${level})
  endforeach()
endfunction()
