# Libraries from the distribution, by pkg-config; docs/dependencies.md says why
# each is here. A cross build for the vector library alone needs none but base's.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
pkg_check_modules(MHD IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(GNUTLS IMPORTED_TARGET gnutls)
pkg_check_modules(CURL IMPORTED_TARGET libcurl)
pkg_check_modules(EDIT IMPORTED_TARGET libedit)
