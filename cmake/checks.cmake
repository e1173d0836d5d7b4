# The tree checks itself: arrows between modules, house style, and the tests of
# the tools that check.
add_test(NAME tools/layers COMMAND python3 ${CMAKE_SOURCE_DIR}/tools/check_layers.py)
add_test(NAME tools/style COMMAND python3 ${CMAKE_SOURCE_DIR}/tools/check_style.py)
foreach(tool check_layers check_style run_tests setup)
  add_test(NAME tools/${tool}_test COMMAND python3 ${CMAKE_SOURCE_DIR}/tools/${tool}_test.py)
endforeach()
get_property(checks DIRECTORY PROPERTY TESTS)
set_tests_properties(${checks} PROPERTIES LABELS tools TIMEOUT 300 WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
