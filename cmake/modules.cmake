# tarn_module(NAME SOURCES a.c b.c DEPENDS base store LIBRARIES PkgConfig::X)
# makes the static library tarn_NAME; its includes are "NAME/NAME.h".
function(tarn_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  add_library(tarn_${name} STATIC ${ARG_SOURCES})
  target_include_directories(tarn_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(tarn_${name} PRIVATE tarn_flags)
  foreach(dep ${ARG_DEPENDS})
    target_link_libraries(tarn_${name} PUBLIC tarn_${dep})
  endforeach()
  target_link_libraries(tarn_${name} PUBLIC ${ARG_LIBRARIES})
endfunction()

# tarn_unit_test(MODULE file_test.c ...): each file is a cmocka program and one
# ctest entry, MODULE/file_test.
function(tarn_unit_test module)
  if(TARN_FUZZ)
    return()
  endif()
  foreach(source ${ARGN})
    get_filename_component(stem ${source} NAME_WE)
    add_executable(${module}_${stem} ${source})
    target_link_libraries(${module}_${stem} PRIVATE tarn_flags tarn_${module} PkgConfig::CMOCKA)
    add_test(NAME ${module}/${stem} COMMAND ${module}_${stem} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${module}/${stem} PROPERTIES LABELS unit TIMEOUT 900)
    if(TARN_SANITIZE STREQUAL "thread")
      # The engine's library is not instrumented; run by hand, a test needs the same.
      set_property(TEST ${module}/${stem} PROPERTY ENVIRONMENT_MODIFICATION
        "TSAN_OPTIONS=string_prepend:suppressions=${CMAKE_SOURCE_DIR}/tests/support/tsan.supp ")
    endif()
  endforeach()
endfunction()
