# Included right after llama.cpp's project(), as CMAKE_PROJECT_llama.cpp_INCLUDE: adds llama-server
# without its web UI. llama.cpp's own way to the UI runs a script that the trimmed tree leaves out,
# and may download; the measurements speak the HTTP API only.
#
# CMake resolves the libraries that llama-server links with at the end, so they may come later;
# only what llama.cpp's CMakeLists.txt sets for all its folders has to be repeated here.
set(LLAMA_BUILD_SERVER OFF CACHE BOOL "added in bench/llama_server.cmake instead" FORCE)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
find_package(Threads REQUIRED)

# What an empty UI fills into the two templates.
set(N_ASSETS 0)
set(USE_GZIP false)
set(_ui "${PROJECT_BINARY_DIR}/llama-ui")
configure_file("${PROJECT_SOURCE_DIR}/tools/ui/ui.cpp.in" "${_ui}/ui.cpp" @ONLY)
configure_file("${PROJECT_SOURCE_DIR}/tools/ui/ui.h.in" "${_ui}/ui.h" @ONLY)

add_custom_target(llama-ui-assets)
add_library(llama-ui STATIC "${_ui}/ui.cpp")
set_target_properties(llama-ui PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_compile_features(llama-ui PRIVATE cxx_std_17)
target_include_directories(llama-ui PUBLIC "${_ui}")

add_subdirectory("${PROJECT_SOURCE_DIR}/tools/server" "${PROJECT_BINARY_DIR}/tools/server")
