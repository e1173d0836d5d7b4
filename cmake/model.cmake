# The built-in embedding model: the published weights that tools/fetch_model.sh
# put into the cache become the asset beside the program. Without them the build
# is whole, and `tarn` says how to get a model.
if(DEFINED ENV{XDG_CACHE_HOME} AND NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
  set(model_cache $ENV{XDG_CACHE_HOME}/tarn/model)
else()
  set(model_cache $ENV{HOME}/.cache/tarn/model)
endif()
set(TARN_MODEL_DIR "${model_cache}/all-MiniLM-L6-v2" CACHE PATH "The published model that the build converts")

if(TARGET tarn AND TARGET embed_tool)
  set(asset ${CMAKE_BINARY_DIR}/all-MiniLM-L6-v2.tarn-model)
  if(EXISTS ${TARN_MODEL_DIR}/model.safetensors)
    add_custom_command(OUTPUT ${asset}
      COMMAND embed_tool --import ${TARN_MODEL_DIR} ${asset}
      DEPENDS ${TARN_MODEL_DIR}/model.safetensors embed_tool
      COMMENT "Built-in embedding model beside the program" VERBATIM)
    add_custom_target(model_beside ALL DEPENDS ${asset})
    add_dependencies(tarn model_beside)
    install(FILES ${asset} DESTINATION share/tarn)
  else()
    message(STATUS "No embedding model in ${TARN_MODEL_DIR}: run tools/fetch_model.sh, then configure again (the rest is built)")
  endif()
endif()
