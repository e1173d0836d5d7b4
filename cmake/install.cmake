# Programs with the engine's library beside them, and what `make install` puts
# where. The library keeps its file name, which is its SONAME.

if(TARN_HAVE_ENGINE AND TARGET tarn)
  # A link where the file system allows it: the library is 71 MB.
  set(beside ${CMAKE_BINARY_DIR}/${TARN_ENGINE_NAME})
  add_custom_command(OUTPUT ${beside}
    COMMAND sh -c "ln -f '${TARN_ENGINE_DIR}/${TARN_ENGINE_NAME}' '${beside}' 2>/dev/null || cp -f '${TARN_ENGINE_DIR}/${TARN_ENGINE_NAME}' '${beside}'"
    DEPENDS ${TARN_ENGINE_DIR}/${TARN_ENGINE_NAME}
    COMMENT "Engine library beside the program" VERBATIM)
  add_custom_target(engine_beside ALL DEPENDS ${beside})
  add_dependencies(tarn engine_beside)
  install(PROGRAMS ${TARN_ENGINE_DIR}/${TARN_ENGINE_NAME} DESTINATION lib/tarn)
endif()

foreach(program tarn tarn-vector)
  if(TARGET ${program})
    set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
    install(TARGETS ${program} RUNTIME DESTINATION bin)
  endif()
endforeach()

# The manual is the program's own help.
if(TARGET tarn)
  set(manual ${CMAKE_BINARY_DIR}/tarn.1)
  add_custom_command(OUTPUT ${manual} COMMAND sh -c "'$<TARGET_FILE:tarn>' help --man >'${manual}'" DEPENDS tarn VERBATIM)
  add_custom_target(manual ALL DEPENDS ${manual})
  install(FILES ${manual} DESTINATION share/man/man1)
endif()
install(FILES packaging/completions/tarn.bash DESTINATION share/bash-completion/completions RENAME tarn)
install(FILES packaging/completions/_tarn DESTINATION share/zsh/site-functions)
install(FILES packaging/completions/tarn.fish DESTINATION share/fish/vendor_completions.d)
install(FILES packaging/tarn.service DESTINATION lib/systemd/system)
install(FILES README.md CHANGELOG.md LICENSE NOTICE DESTINATION share/doc/tarn)
