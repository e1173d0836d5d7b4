# One place for compiler flags. The baseline instruction set stays the
# platform's: wide instructions live in functions marked with target().
add_library(tarn_flags INTERFACE)
target_compile_definitions(tarn_flags INTERFACE _GNU_SOURCE TARN_VERSION="${TARN_VERSION}")
target_compile_options(tarn_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
  -Wvla -Wformat=2 -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef
  $<$<C_COMPILER_ID:Clang>:-Wno-gnu-statement-expression>
  -fno-common -fstack-protector-strong -fvisibility=hidden)
if(TARN_WERROR)
  target_compile_options(tarn_flags INTERFACE -Werror)
endif()
if(TARN_SANITIZE)
  target_compile_options(tarn_flags INTERFACE -fsanitize=${TARN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(tarn_flags INTERFACE -fsanitize=${TARN_SANITIZE})
else()
  target_compile_options(tarn_flags INTERFACE $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
endif()
if(TARN_FUZZ)
  target_compile_options(tarn_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
