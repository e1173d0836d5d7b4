# The SQL engine is a shared library fetched by tools/fetch_engine.sh (pinned
# by checksum, never in the tree); here it becomes the target duckdb.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(TARN_ENGINE_NAME libduckdb_java.so_linux_arm64)
else()
  set(TARN_ENGINE_NAME libduckdb_java.so_linux_amd64)
endif()
if(EXISTS ${TARN_ENGINE_DIR}/${TARN_ENGINE_NAME} AND EXISTS ${TARN_ENGINE_DIR}/include/duckdb.h)
  add_library(duckdb SHARED IMPORTED)
  set_target_properties(duckdb PROPERTIES
    IMPORTED_LOCATION ${TARN_ENGINE_DIR}/${TARN_ENGINE_NAME}
    IMPORTED_SONAME ${TARN_ENGINE_NAME})
  target_include_directories(duckdb SYSTEM INTERFACE ${TARN_ENGINE_DIR}/include)
  set(TARN_HAVE_ENGINE ON)
else()
  set(TARN_HAVE_ENGINE OFF)
  message(STATUS "SQL engine not found in ${TARN_ENGINE_DIR}: run tools/fetch_engine.sh (only the engine-free modules are built)")
endif()
